// Named checks, run one after another. A check passes when its function returns, and fails when it throws, takes too
// long, or something it left behind throws meanwhile. There is no way to skip one.

/** Longest a check may take, in milliseconds. */
const CHECK_MAX_MS = 30_000;

const checks = [];

/** Adds a check; `body` may be asynchronous. */
export function check(name, body) {
  checks.push({ name, body });
}

/** How many checks there are so far. */
export function checkCount() {
  return checks.length;
}

/** Runs all checks in the order they were added and says how many passed and failed. */
export async function runChecks() {
  const tally = { passed: 0, failed: 0 };
  for (const { name, body } of checks) {
    const startedAt = performance.now();
    const fault = await faultOf(body);
    const took = `${Math.round(performance.now() - startedAt)} ms`;
    if (fault === undefined) {
      tally.passed += 1;
      console.log(`ok    ${name} (${took})`);
    } else {
      tally.failed += 1;
      console.log(`FAIL  ${name} (${took})\n${indented(fault?.stack ?? String(fault))}`);
    }
  }
  return tally;
}

async function faultOf(body) {
  let timer;
  let onStray;
  const cutShort = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took over ${CHECK_MAX_MS} ms`)), CHECK_MAX_MS);
    onStray = reject;
    process.once("uncaughtException", onStray);
  });
  try {
    await Promise.race([Promise.resolve().then(body), cutShort]);
    return undefined;
  } catch (error) {
    return error ?? new Error("failed without saying why");
  } finally {
    clearTimeout(timer);
    process.off("uncaughtException", onStray);
  }
}

function indented(text) {
  return text.replace(/^/gm, "      ");
}
