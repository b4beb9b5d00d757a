/**
 * Asking several peers where the answer of one is enough.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import { waitFor } from "../waiting.ts";
import { inBackground } from "../owned_work.ts";

/** The longest wait for a peer before the next one is asked as well, in milliseconds. */
const LONGEST_HEAD_START = 500;

/** How {@linkcode firstAnswer} asks. */
export interface FirstAnswerOptions {
  /** Milliseconds for all of it, however many peers there are. */
  readonly timeout: number;
  /** What is asked, as errors name it: `"ask who is in a group"`. */
  readonly action: string;
  /** Ends it early, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks peers in their order, and resolves with the first answer. A peer that fails is followed by the next at once; one
 * that is silent gets a head start, such that all are asked before the time is over.
 *
 * @throws the last failure if all fail; {@linkcode TimeoutError} when the time is over, with the last failure as cause
 */
export async function firstAnswer<P, T>(
  peers: readonly P[],
  ask: (peer: P) => Promise<T>,
  { timeout, action, signal }: FirstAnswerOptions,
): Promise<T> {
  const headStart = Math.min(LONGEST_HEAD_START, timeout / (peers.length + 1));
  let timer: ReturnType<typeof setTimeout> | undefined;
  const attempt = async (peer: P) => await ask(peer);
  let failure: unknown;
  let isOver = false;
  const answer = new Promise<T>((resolve, reject) => {
    let next = 0;
    let failed = 0;
    const askNext = () => {
      clearTimeout(timer);
      if (isOver || next === peers.length) return;
      inBackground(attempt(peers[next++]!).then(resolve), (error) => {
        failure = error;
        if (++failed === peers.length) reject(error);
        else askNext();
      });
      timer = setTimeout(askNext, headStart);
    };
    askNext();
  });
  const late = () => new TimeoutError(action, timeout, failure === undefined ? undefined : { cause: failure });
  return await waitFor(answer, { ms: timeout, late, signal }).finally(() => {
    isOver = true;
    clearTimeout(timer);
  });
}
