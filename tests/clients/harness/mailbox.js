// What arrives while nobody waits is kept until somebody does.

/** Longest something may be waited for, in milliseconds. */
const WAIT_MAX_MS = 5_000;

/** Values in the order they arrived. */
export class Mailbox {
  #values = [];
  #waiting = [];

  /** Takes a value in. */
  put(value) {
    const next = this.#waiting.shift();
    if (next) next(value);
    else this.#values.push(value);
  }

  /** The next value; `undefined` when none has come after `ms`. */
  async poll(ms) {
    if (this.#values.length > 0) return this.#values.shift();
    return new Promise((resolve) => {
      const taker = (value) => {
        clearTimeout(timer);
        resolve(value);
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(taker), 1);
        resolve(undefined);
      }, ms);
      this.#waiting.push(taker);
    });
  }

  /** The next value, which must come. */
  async next() {
    const value = await this.poll(WAIT_MAX_MS);
    if (value === undefined) throw new Error(`nothing came within ${WAIT_MAX_MS} ms`);
    return value;
  }
}
