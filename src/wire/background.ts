/**
 * Work in the background: one step at a time for the whole process, with turns of the event loop between.
 *
 * @module
 */

import { Semaphore, turn } from "../waiting.ts";

/** About how many bytes are unpacked between two turns of the event loop; other work counts as so many. */
export const STEP_SIZE: number = 128 * 1024;

/** All that is under way takes turns, step by step: no turn of the event loop has the steps of several. */
const steps = new Semaphore(1);
/** What was done since the event loop has turned, in bytes. */
let sinceTurn = 0;

/**
 * Does work that yields after each step how large it was, in bytes; returns what it returns.
 *
 * @throws the signal's reason, if it has aborted; the work is ended then
 */
export async function inSteps<T>(work: AsyncGenerator<number, T, void>, signal: AbortSignal | undefined): Promise<T> {
  try {
    for (;;) {
      signal?.throwIfAborted();
      const step = await steps.pass(() => stepOf(work));
      if (step.done) return step.value;
    }
  } finally {
    await work.return(undefined as T); // nothing is left open, however it ends
  }
}

async function stepOf<T>(work: AsyncGenerator<number, T, void>): Promise<IteratorResult<number, T>> {
  const step = await work.next();
  if (step.done) return step;
  sinceTurn += step.value;
  if (sinceTurn >= STEP_SIZE) {
    await turn();
    sinceTurn = 0;
  }
  return step;
}
