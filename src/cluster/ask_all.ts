/**
 * Asking all of several peers, such as the brokers of a cluster or topic: a few at a time, within one timeout.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import { inBackground } from "../owned_work.ts";

/** How many are asked at a time, unless the caller says otherwise. */
const AT_A_TIME = 8;
/** The part of the timeout that silent peers have when a short wait is enough. */
const SHORT_WAIT_PART = 4;

/** How long peers are waited for that have not answered: until the deadline, a short while, or no longer. */
export type Patience = "all" | "short" | "none";

/** How {@linkcode askAll} asks. */
export interface AskAllOptions<P, T> {
  /** Milliseconds for all of it, however many peers there are; `Infinity` leaves the time to `ask`. */
  readonly timeout: number;
  /** What a peer is asked, as errors name it: `"ask broker b for its figures"`. */
  readonly action: (peer: P) => string;
  /** How many are asked at a time. @default {8} */
  readonly atATime?: number;
  /** Ends it early, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long the others are waited for, looked up at the start and after each answer or failure. @default {all} */
  readonly patience?: (answers: readonly Answered<P, T>[], silent: ReadonlySet<P>) => Patience;
}

/** A peer and its answer. */
export interface Answered<P, T> {
  /** The peer. */
  readonly peer: P;
  /** What it answered. */
  readonly answer: T;
}

/** A peer without an answer. */
export interface Unanswered<P> {
  /** The peer. */
  readonly peer: P;
  /** Why it has none: its failure, or a {@linkcode TimeoutError}. */
  readonly error: unknown;
  /** Whether it was asked at all. */
  readonly wasAsked: boolean;
}

/** What all peers answered. */
export interface AllAnswers<P, T> {
  /** The answers, in the order in which they came. */
  readonly answers: readonly Answered<P, T>[];
  /** The peers that did not answer. */
  readonly unanswered: readonly Unanswered<P>[];
}

/**
 * Asks all peers, and resolves when each has answered, has failed, or is not waited for any longer.
 *
 * There is no timer for the deadline: `ask` is called with the time that one peer has, and must end by then. Where more
 * peers are asked than at a time, that is less than the timeout, such that silent ones leave time for the others.
 */
export function askAll<P, T>(
  peers: readonly P[],
  ask: (peer: P, timeout: number) => Promise<T>,
  options: AskAllOptions<P, T>,
): Promise<AllAnswers<P, T>> {
  const { timeout, action, atATime = AT_A_TIME, signal, patience = () => "all" } = options;
  const deadline = performance.now() + timeout;
  const each = peers.length <= atATime ? timeout : atATime * timeout / (peers.length + 1);
  const answers: Answered<P, T>[] = [];
  const failures: Unanswered<P>[] = [];
  const silent = new Set(peers);
  return new Promise((resolve, reject) => {
    let [next, underWay, isOver] = [0, 0, false];
    let short: ReturnType<typeof setTimeout> | undefined;
    const end = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(short);
      if (signal?.aborted) return reject(signal.reason);
      const asked = new Set(peers.slice(0, next));
      const late = [...silent].map((peer) => {
        return { peer, error: new TimeoutError(action(peer), timeout), wasAsked: asked.has(peer) };
      });
      resolve({ answers, unanswered: [...failures, ...late] });
    };
    const settled = (peer: P) => {
      underWay--;
      silent.delete(peer);
      goOn();
    };
    const begin = async (peer: P) => {
      underWay++;
      try {
        const answer = await ask(peer, Math.min(each, timeLeft(deadline)));
        if (!isOver) answers.push({ peer, answer });
      } catch (error) {
        if (!isOver) failures.push({ peer, error, wasAsked: true });
      }
      if (!isOver) settled(peer);
    };
    const goOn = () => {
      if (signal?.aborted) return end();
      while (underWay < atATime && next < peers.length && performance.now() < deadline) {
        inBackground(begin(peers[next++]!), reject);
      }
      if (underWay === 0) return end();
      const more = patience(answers, silent);
      if (more === "none") end();
      else if (more === "short") short ??= setTimeout(end, timeout / SHORT_WAIT_PART);
    };
    goOn();
  });
}

/** How many milliseconds are left; 1 at least, so that whoever is late fails by a timer like others. */
export function timeLeft(deadline: number): number {
  return Math.max(1, deadline - performance.now());
}
