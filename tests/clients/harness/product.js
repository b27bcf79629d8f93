// The product under check: `matricula dev` on a directory of its own, and what its dev.json says.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The program under check. */
const PROGRAM = process.env.MATRICULA_BIN;

/** Longest it may take to start, in milliseconds: it makes a database first. */
const START_MAX_MS = 60_000;

/** The repository's root. */
export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** This package's root. */
export const HERE = fileURLToPath(new URL("..", import.meta.url));

/** What dev.json says, once the product is started. */
export let dev;

/** The committed schema. */
export function schemaFile() {
  return readFileSync(join(ROOT, "schema.graphql"), "utf8");
}

/** The schema as the program prints it. */
export function printedSchema() {
  return execFileSync(PROGRAM, ["schema"], { encoding: "utf8", env: environment() });
}

/** An operation of documents/. */
export function documentOf(name) {
  return readFileSync(join(HERE, "documents", `${name}.graphql`), "utf8");
}

/** Nothing of whoever runs the checks may reach the product: neither their stores nor their settings. */
function environment() {
  const isTheirs = (name) => name.startsWith("MATRICULA_") || ["DATABASE_URL", "REDIS_URL"].includes(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isTheirs(name)));
}

/** A running product. */
export class Product {
  #child;
  #exit;
  #dir;

  /** Starts it and waits until it is ready. */
  static async start() {
    const product = new Product();
    product.#dir = mkdtempSync(join(tmpdir(), "matricula-clients-"));
    // Run by root, stores work under accounts of their own, which must reach their data. Secrets in here are in files
    // that only their owner can read.
    chmodSync(product.#dir, 0o755);
    const log = openSync(product.#logFile, "w");
    const dir = join(product.#dir, "dev");
    const args = ["dev", "--dir", dir, "--port", "0"];
    product.#child = spawn(PROGRAM, args, { stdio: ["ignore", "pipe", log], env: environment() });
    closeSync(log);
    product.#exit = once(product.#child, "exit").then(([code, signal]) => ({ code, signal }));
    for (const signal of ["SIGINT", "SIGTERM"]) {
      process.once(signal, () => product.stop().then(() => (product.remove(), process.exit(1))));
    }
    try {
      await product.#ready();
    } catch (error) {
      await product.stop();
      product.remove();
      throw error;
    }
    dev = JSON.parse(readFileSync(join(dir, "dev.json"), "utf8"));
    return product;
  }

  /** It says so in a line of its own. */
  async #ready() {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not ready after ${START_MAX_MS} ms`)), START_MAX_MS);
    });
    const gone = this.#exit.then(({ code, signal }) => {
      throw new Error(`ended before it was ready (${signal ?? code}):\n${this.logTail()}`);
    });
    const ready = new Promise((resolve) => {
      createInterface({ input: this.#child.stdout }).on("line", (line) => {
        if (line.startsWith("ready: ")) resolve();
      });
    });
    try {
      await Promise.race([ready, gone, late]);
    } finally {
      clearTimeout(timer);
      gone.catch(() => {});
    }
  }

  /** Asks it to stop, and waits until it has: with what code, or by which signal. */
  async stop() {
    this.#child.kill("SIGTERM");
    return this.#exit;
  }

  /** Its process id. */
  get pid() {
    return this.#child.pid;
  }

  get #logFile() {
    return join(this.#dir, "log");
  }

  /** The end of its log. */
  logTail() {
    return readFileSync(this.#logFile, "utf8").split("\n").slice(-20).join("\n");
  }

  /** Removes its directory. */
  remove() {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
