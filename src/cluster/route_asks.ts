/**
 * Asking several name servers about a topic, a few at a time and within one timeout.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import { type AskOptions, moreTelling, type NameServer, type RouteAnswer } from "./name_server.ts";
import { inBackground } from "../owned_work.ts";

/** How many are asked at a time. */
const AT_A_TIME = 8;
/** The next one is asked when the one before has not answered within this part of the timeout. */
const HEDGE_PART = 10;
/** When one has a route, the others have this part of the timeout. */
const SHORT_WAIT_PART = 4;
/** The shortest wait for an answer before the next one is asked, in milliseconds. */
const SHORTEST_WAIT = 25;

/** What all name servers answered about a topic. */
export interface RouteRound {
  /** The answers, at least one, in the order of the configured addresses. */
  readonly answers: readonly RouteAnswer[];
  /** Those that did not answer, each with the reason. */
  readonly unanswered: readonly { readonly address: string; readonly error: unknown }[];
}

/**
 * The first answer. The next name server is asked when one fails, or has not answered after a short while; one that did
 * not answer the last time is asked together with the next.
 *
 * What is under way when there is an answer goes on to its timeout: it shows whether that name server answers again.
 */
export function firstAnswer(
  servers: readonly NameServer[],
  topic: string,
  { timeout, signal }: AskOptions,
): Promise<RouteAnswer> {
  const end = performance.now() + timeout;
  const { wait, patience } = paceOf(servers.length, timeout);
  return new Promise((resolve, reject) => {
    let [next, underWay, isOver] = [0, 0, false];
    let failure: unknown;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const answered = (answer: RouteAnswer) => {
      isOver = true;
      clearTimeout(timer);
      resolve(answer);
    };
    const failed = (error: unknown) => {
      underWay--;
      failure = moreTelling(failure, error);
      if (signal?.aborted) isOver = true;
      if (!isOver && next < servers.length && performance.now() < end) return askNext();
      if (!isOver && underWay > 0) return;
      clearTimeout(timer);
      reject(signal?.aborted ? signal.reason : failure);
    };
    const askNext = () => {
      clearTimeout(timer);
      const server = servers[next++]!;
      underWay++;
      const isDoubtful = !server.answers && servers[next]?.answers === true;
      inBackground(server.ask(topic, { timeout: Math.min(patience, left(end)), signal }).then(answered), failed);
      if (next < servers.length) timer = setTimeout(() => late(server), isDoubtful ? 0 : wait);
    };
    const late = (server: NameServer) => {
      server.answers = false;
      if (performance.now() < end) askNext();
    };
    askNext();
  });
}

/**
 * All answers. While one has a route, silent name servers are waited for a short while, else until the timeout; those
 * that did not answer the last time are not waited for, or only for that short while, once the others have settled.
 *
 * @param known an answer that is there already
 */
export function allAnswers(
  servers: readonly NameServer[],
  topic: string,
  options: AskOptions,
  known: RouteAnswer | undefined,
): Promise<RouteRound> {
  return new Promise((resolve, reject) => {
    new Round(servers, topic, options, { resolve, reject }).begin(known);
  });
}

/** Hears how a {@linkcode Round} ends. */
interface RoundEnd {
  readonly resolve: (round: RouteRound) => void;
  readonly reject: (reason: unknown) => void;
}

/** One question to several name servers. */
class Round {
  #servers: readonly NameServer[];
  #topic: string;
  #options: AskOptions;
  #onEnd: RoundEnd;
  #deadline: number;
  #patience: number;
  #answers: RouteAnswer[] = [];
  #open: Set<NameServer>;
  /** How many of those are open that answered the last time. */
  #promising: number;
  #doubtful: ReadonlySet<NameServer>;
  #failures = new Map<NameServer, unknown>();
  #next = 0;
  #underWay = 0;
  #isOver = false;
  #short: ReturnType<typeof setTimeout> | undefined;

  constructor(servers: readonly NameServer[], topic: string, options: AskOptions, onEnd: RoundEnd) {
    this.#servers = servers;
    this.#topic = topic;
    this.#options = options;
    this.#onEnd = onEnd;
    this.#deadline = performance.now() + options.timeout;
    this.#patience = paceOf(servers.length, options.timeout).patience;
    this.#open = new Set(servers);
    this.#doubtful = new Set(servers.filter(({ answers }) => !answers));
    this.#promising = servers.length - this.#doubtful.size;
  }

  begin(known: RouteAnswer | undefined): void {
    if (known !== undefined) this.#answers.push(known);
    this.#goOn();
  }

  #goOn(): void {
    if (this.#isOver) return;
    if (this.#options.signal?.aborted) return this.#end();
    // No timer of its own for the deadline: calls end by theirs, in the same moment in which a silent connection is cut.
    // Were it earlier, the caller's next request would go over that connection, and be lost with it.
    const count = performance.now() < this.#deadline ? this.#servers.length : 0;
    while (this.#underWay < AT_A_TIME && this.#next < count) this.#ask(this.#servers[this.#next++]!);
    if (this.#underWay === 0) return this.#end();
    const hasRoute = this.#answers.some(({ data }) => data !== undefined);
    if (hasRoute && this.#promising === 0) return this.#end();
    const isEnough = hasRoute || (this.#answers.length > 0 && this.#promising === 0);
    if (isEnough) this.#short ??= setTimeout(this.#end, this.#options.timeout / SHORT_WAIT_PART);
  }

  #ask(server: NameServer): void {
    this.#underWay++;
    const timeout = Math.min(this.#patience, left(this.#deadline));
    const asked = server.ask(this.#topic, { timeout, signal: this.#options.signal });
    inBackground(
      asked.then((answer) => this.#settled(server, () => this.#answers.push(answer))),
      (error) => this.#settled(server, () => this.#failures.set(server, error)),
    );
  }

  #settled(server: NameServer, note: () => void): void {
    if (this.#isOver) return;
    note();
    this.#underWay--;
    this.#open.delete(server);
    if (!this.#doubtful.has(server)) this.#promising--;
    this.#goOn();
  }

  #end = (): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#short);
    const { signal, timeout } = this.#options;
    if (signal?.aborted) return this.#onEnd.reject(signal.reason);
    const failures = [...this.#failures].map(([{ address }, error]) => ({ address, error }));
    const late = [...this.#open].map(({ address }) => ({
      address,
      error: new TimeoutError(`ask name server ${address} for a route`, timeout),
    }));
    for (const server of this.#servers.slice(0, this.#next)) if (this.#open.has(server)) server.answers = false;
    const unanswered = [...failures, ...late];
    if (this.#answers.length > 0) this.#onEnd.resolve({ answers: this.#answers, unanswered });
    else this.#onEnd.reject(unanswered.map(({ error }) => error).reduce(moreTelling));
  };
}

/**
 * How long the next name server waits for the one before, and how long one may take: so that many can be asked within
 * the timeout, and few are asked at a time.
 */
function paceOf(count: number, timeout: number): { readonly wait: number; readonly patience: number } {
  const wait = Math.max(SHORTEST_WAIT, Math.min(timeout / HEDGE_PART, timeout / (count + 1)));
  return { wait, patience: count <= AT_A_TIME ? timeout : AT_A_TIME * wait };
}

/** How many milliseconds are left; 1 at least, so that whoever is late fails by a timer like others. */
function left(deadline: number): number {
  return Math.max(1, deadline - performance.now());
}
