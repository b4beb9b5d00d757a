/**
 * Asking several name servers about a topic, a few at a time and within one timeout.
 *
 * @module
 */

import { type Answered, askAll, type Patience } from "./ask_all.ts";
import { firstAnswer } from "./first_answer.ts";
import { type AskOptions, moreTelling, type NameServer, type RouteAnswer } from "./name_server.ts";

/** The next one is asked when the one before has not answered within this part of the timeout. */
const HEDGE_PART = 10;
/** The shortest wait for an answer before the next one is asked, in milliseconds. */
const SHORTEST_WAIT = 25;
/** With more name servers one has less than the timeout, so that silent ones leave time for the others. */
const FEW = 8;

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
export function firstRoute(
  servers: readonly NameServer[],
  topic: string,
  { timeout, signal }: AskOptions,
): Promise<RouteAnswer> {
  const wait = Math.max(SHORTEST_WAIT, Math.min(timeout / HEDGE_PART, timeout / (servers.length + 1)));
  const longest = servers.length <= FEW ? timeout : FEW * wait;
  return firstAnswer(
    servers,
    (server, left) => server.ask(topic, { timeout: Math.min(longest, left), signal }),
    {
      timeout,
      signal,
      headStart: (server, next) => !server.answers && next.answers ? 0 : wait,
      onLate: (server) => server.answers = false,
      worse: moreTelling,
    },
  );
}

/**
 * All answers. While one has a route, silent name servers are waited for a short while, else until the timeout; those
 * that did not answer the last time are not waited for, or only for that short while, once the others have settled.
 *
 * @param known an answer that is there already
 * @throws {RocketMQError} what explains most of why none answered
 */
export async function allRoutes(
  servers: readonly NameServer[],
  topic: string,
  { timeout, signal }: AskOptions,
  known: RouteAnswer | undefined,
): Promise<RouteRound> {
  const first = known === undefined ? [] : [known];
  const unreliable = new Set(servers.filter(({ answers }) => !answers));
  const patience = (
    answered: readonly Answered<NameServer, RouteAnswer>[],
    silent: ReadonlySet<NameServer>,
  ): Patience => {
    const hasRoute = [...first, ...answered.map(({ answer }) => answer)].some(({ data }) => data !== undefined);
    const isSettled = [...silent].every((server) => unreliable.has(server));
    if (hasRoute && isSettled) return "none";
    return hasRoute || (isSettled && first.length + answered.length > 0) ? "short" : "all";
  };
  const { answers, unanswered } = await askAll(
    servers,
    (server, timeout) => server.ask(topic, { timeout, signal }),
    { timeout, signal, patience, action: ({ address }) => `ask name server ${address} for a route` },
  );
  for (const { peer, wasAsked } of unanswered) if (wasAsked) peer.answers = false;
  if (first.length + answers.length === 0) throw unanswered.map(({ error }) => error).reduce(moreTelling);
  return {
    answers: [...first, ...answers.map(({ answer }) => answer)],
    unanswered: unanswered.map(({ peer: { address }, error }) => ({ address, error })),
  };
}
