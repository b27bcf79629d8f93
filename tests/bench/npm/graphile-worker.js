// graphile-worker on a task that does nothing: DATABASE_URL, SCHEMA, JOBS, CONCURRENCY and LOCAL_QUEUE (0: none) come from
// the environment. Jobs are there before anything is measured. It says `ready`, waits for a line, works until no job is
// left, and says `done` with the jobs done and the milliseconds that took.
import { createInterface } from "node:readline";
import { makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";

const number = (name) => Number(process.env[name]);
const [jobs, concurrency, localQueue] = [number("JOBS"), number("CONCURRENCY"), number("LOCAL_QUEUE")];
const schema = process.env.SCHEMA;
const preset = {
  worker: {
    schema,
    concurrentJobs: concurrency,
    maxPoolSize: concurrency + 1,
    // As soon as one is added; polling is for what fails.
    pollInterval: 2_000,
    ...(localQueue > 0 ? { localQueue: { size: localQueue }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } : {}),
  },
};
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: concurrency + 4 });
const quiet = { logger: undefined, noHandleSignals: true };

const utils = await makeWorkerUtils({ pgPool: pool, preset, ...quiet });
await utils.migrate();
await utils.release();
await pool.query(`TRUNCATE ${schema}._private_jobs`);
await pool.query(
  `SELECT ${schema}.add_job('nothing', json_build_object('n', n)) FROM generate_series(1, $1::int) AS n`,
  [jobs],
);
await pool.query(`VACUUM ANALYZE ${schema}._private_jobs`);

const told = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
console.log("ready");
await told.next();

let done = 0;
const began = performance.now();
const taken = new Promise((resolve) => {
  const nothing = async () => {
    done += 1;
    if (done === jobs) resolve();
  };
  run({ pgPool: pool, preset, taskList: { nothing }, ...quiet });
});
await taken;
// A job is done when it is gone.
for (;;) {
  const { rows } = await pool.query(`SELECT EXISTS (SELECT FROM ${schema}._private_jobs) AS "left"`);
  if (!rows[0].left) break;
}
console.log(`done ${done} ${performance.now() - began}`);
await told.next();
process.exit(0);
