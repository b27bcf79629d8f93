// Programs that check by their exit status.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { HERE } from "./product.js";

/** Runs a program in a folder of this package; a status other than 0 is an error with what it wrote. */
export async function run(folder, program, args, environment = {}) {
  const env = { ...process.env, ...environment };
  const child = spawn(program, args, { cwd: join(HERE, folder), env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  }
  const [code, signal] = await once(child, "close");
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${signal ?? code}:\n${output}`);
}
