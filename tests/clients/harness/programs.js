// Programs that check by their exit status.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { HERE } from "./product.js";

/** Runs a program in this package's root; a status other than 0 is an error with what it wrote. Gives its output. */
export async function run(program, args, environment = {}) {
  const options = { cwd: HERE, env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "pipe"] };
  const child = spawn(program, args, options);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  }
  const [code, signal] = await once(child, "close");
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${signal ?? code}:\n${output}`);
  return output;
}
