/**
 * A database that is shared with other programs.
 *
 * @module
 */

import { delay } from "../waiting.ts";

/** The longest wait for the writes of another program, in milliseconds. */
const MAX_WAIT = 10_000;
/** The longest pause between two attempts, in milliseconds. */
const MAX_PAUSE = 20;

/**
 * Runs work, and runs it again while another program is writing.
 *
 * SQLite has one writer at a time. Deno waits for it in some places, and in others fails with this message at once;
 * then nothing was done.
 */
export async function whenFree<T>(work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isLocked(error) || performance.now() - start > MAX_WAIT) throw error;
    }
    await delay(Math.random() * MAX_PAUSE); // random, so that two programs do not collide again
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof TypeError && error.message.includes("database is locked");
}
