/**
 * Asking several peers where the answer of one is enough.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import { waitFor } from "../waiting.ts";
import { inBackground } from "../owned_work.ts";
import { timeLeft } from "./ask_all.ts";

/** The longest wait for a peer before the next one is asked as well, in milliseconds. */
const LONGEST_HEAD_START = 500;

/** How {@linkcode firstAnswer} asks. */
export interface FirstAnswerOptions<P> {
  /** Milliseconds for all of it, however many peers there are. */
  readonly timeout: number;
  /**
   * What is asked, as errors name it: `"ask who is in a group"`. Without it there is no timer for the whole: `ask` must
   * end within the time that it is called with.
   */
  readonly action?: string;
  /** Ends it early, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long a peer has before the next one is asked as well. @default {at most 500 ms, so that all are asked} */
  readonly headStart?: (peer: P, next: P) => number;
  /** Called with a peer that has not answered within its head start. */
  readonly onLate?: (peer: P) => void;
  /** Which of two failures is reported if nobody answers. @default {the last} */
  readonly worse?: (known: unknown, other: unknown) => unknown;
}

/**
 * Asks peers in their order, and resolves with the first answer. A peer that fails is followed by the next at once; one
 * that is silent has a head start, such that all are asked before the time is over. What is under way when there is an
 * answer goes on: its end may be of use to others.
 *
 * @throws a failure if all fail; {@linkcode TimeoutError} when the time is over, with that failure as cause
 */
export async function firstAnswer<P, T>(
  peers: readonly P[],
  ask: (peer: P, timeout: number) => Promise<T>,
  options: FirstAnswerOptions<P>,
): Promise<T> {
  const { timeout, action, signal, onLate, worse = (_, other) => other } = options;
  const longest = Math.min(LONGEST_HEAD_START, timeout / (peers.length + 1));
  const { headStart = () => longest } = options;
  const deadline = performance.now() + timeout;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failure: unknown;
  let [next, underWay, isOver] = [0, 0, false];
  const mayAskMore = () => !isOver && !signal?.aborted && next < peers.length && performance.now() < deadline;
  const answer = new Promise<T>((resolve, reject) => {
    const attempt = async (peer: P) => resolve(await ask(peer, timeLeft(deadline)));
    const failed = (error: unknown) => {
      underWay--;
      failure = worse(failure, error);
      if (mayAskMore()) askNext();
      else if (signal?.aborted) reject(signal.reason);
      else if (underWay === 0) reject(failure);
    };
    const askNext = () => {
      clearTimeout(timer);
      const peer = peers[next++]!;
      underWay++;
      inBackground(attempt(peer), failed);
      if (next < peers.length) timer = setTimeout(() => late(peer), headStart(peer, peers[next]!));
    };
    const late = (peer: P) => {
      onLate?.(peer);
      if (mayAskMore()) askNext();
    };
    askNext();
  });
  const late = () => new TimeoutError(action ?? "", timeout, failure === undefined ? undefined : { cause: failure });
  try {
    return await (action === undefined ? answer : waitFor(answer, { ms: timeout, late, signal }));
  } finally {
    isOver = true;
    clearTimeout(timer);
  }
}
