// Starts the product, runs the checks of checks/ (or of the files named) and stops it. See run.sh.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { check, checkCount, runChecks } from "./harness/check.js";
import { familyOf, isRunning } from "./harness/processes.js";
import { dev, HERE, Product } from "./harness/product.js";

/** Files of checks, by name and without `.js`. */
function wanted(names) {
  const known = readdirSync(join(HERE, "checks"))
    .filter((file) => file.endsWith(".js"))
    .map((file) => file.slice(0, -".js".length))
    .sort();
  for (const name of names) {
    assert(known.includes(name), `there is no ${name}; there are ${known.join(", ")}`);
  }
  return names.length > 0 ? names : known;
}

/** The last check: what was started has stopped, stores included. */
async function stopped(product) {
  const family = familyOf(product.pid);
  const pids = family.map(({ pid }) => pid);
  for (const [name, pid] of Object.entries(dev.pids)) {
    assert(pids.includes(pid), `${name} (${pid}) is no descendant, so its end could not be seen`);
  }
  const end = await product.stop();
  assert.deepEqual(end, { code: 0, signal: null }, product.logTail());
  assert.deepEqual(family.filter(isRunning), [], "these still run");
}

/** Without a product nothing can be checked, which is told as all else is. */
async function start() {
  try {
    return await Product.start();
  } catch (error) {
    console.log(`FAIL  product: starts\n      ${error.message}\n\n0 passed, 1 failed`);
    return process.exit(1);
  }
}

async function main() {
  const files = wanted(process.argv.slice(2));
  const product = await start();
  try {
    for (const file of files) {
      const before = checkCount();
      await import(`./checks/${file}.js`);
      assert(checkCount() > before, `${file} checks nothing`);
    }
  } catch (error) {
    check("every file of checks can be read", () => {
      throw error;
    });
  }
  check("product: SIGTERM stops it and all its processes", () => stopped(product));
  const { passed, failed } = await runChecks();
  // Whatever became of the last check.
  await product.stop();
  if (failed > 0) console.log(`\nThe end of the product's log:\n${product.logTail()}`);
  product.remove();
  console.log(`\n${passed} passed, ${failed} failed`);
  // A failed check may have left something open that would keep this process.
  process.exit(failed === 0 ? 0 : 1);
}

await main();
