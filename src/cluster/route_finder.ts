/**
 * Finding a topic's route among name servers that may disagree.
 *
 * @module
 */

import { NameServerError } from "../errors.ts";
import type { EventHub } from "../events.ts";
import { reasonOf } from "../plain_text.ts";
import type { TopicRouteData } from "../wire/bodies.ts";
import type { AskOptions, RouteAnswer } from "./name_server.ts";
import type { NameServers } from "./name_servers.ts";
import type { RouteRound } from "./route_asks.ts";
import { ShortList } from "./route_limits.ts";
import { lacking, uniteRoutes } from "./route_union.ts";

/** The part of the timeout that one name server's answer may take, so that there is time to ask the others. */
const FIRST_ANSWER_PART = 0.75;

/** What is known of a topic's route. */
interface Found {
  /** The fullest route of the last round; undefined if all name servers have forgotten the topic. */
  readonly data: TopicRouteData | undefined;
  /** The same as a text, to compare it. */
  readonly text: string;
  /** What each name server answered in the last round, as a text. */
  readonly texts: ReadonlyMap<string, string>;
  /** Which name server is asked next. */
  turn: number;
  /** Whether they disagreed. */
  readonly isPartial: boolean;
}

/**
 * Finds routes: the first look at a topic asks all name servers, a refresh one of them, each in turn, and all if its
 * answer is not the same as the last time. So one request per refresh notices what changes at any of them.
 *
 * What counts is the fullest of one round: every broker and queue that at least one name server has then. One that all
 * of them have forgotten is gone with that round.
 */
export class RouteFinder {
  #names: NameServers;
  #events: EventHub;
  #found = new Map<string, Found>();
  /** What was reported and lasts, by topic and place. */
  #reported = new Set<string>();

  /** Makes a finder that knows nothing; disagreement and entries that were left out are events. */
  constructor(names: NameServers, events: EventHub) {
    this.#names = names;
    this.#events = events;
  }

  /**
   * A topic's route; undefined if no name server knows the topic.
   *
   * @throws {NameServerError} `TOPIC_UNCONFIRMED` if those that answered do not know the topic, and others did not answer
   * @throws {RocketMQError} if no name server answered within the timeout
   */
  async find(topic: string, options: AskOptions): Promise<TopicRouteData | undefined> {
    const end = performance.now() + options.timeout;
    const found = this.#found.get(topic);
    let known: RouteAnswer | undefined;
    if (found !== undefined) {
      known = await this.#refresh(topic, found, options);
      if (known === undefined) return found.data;
    }
    const timeout = Math.max(1, end - performance.now());
    return this.#take(topic, await this.#names.all(topic, { ...options, timeout }, known));
  }

  /** Asks the name server whose turn it is; returns its answer if something has changed. */
  async #refresh(topic: string, found: Found, options: AskOptions): Promise<RouteAnswer | undefined> {
    const { addresses } = this.#names;
    const turn = found.turn++;
    const timeout = addresses.length === 1 ? options.timeout : options.timeout * FIRST_ANSWER_PART;
    const answer = await this.#names.first(topic, { ...options, timeout }, turn);
    const { address, data } = answer;
    // While they disagree it matters whether each still answers: what only a silent one has does not count any more.
    const isInTurn = !found.isPartial || address === addresses[turn % addresses.length];
    if (!isInTurn || textOf(data) !== (found.texts.get(address) ?? found.text)) return answer;
    this.#reportLeftOut(topic, answer);
    return undefined;
  }

  #take(topic: string, { answers, unanswered }: RouteRound): TopicRouteData | undefined {
    for (const answer of answers) this.#reportLeftOut(topic, answer);
    const routes = answers.flatMap(({ data }) => data ?? []);
    if (routes.length === 0) {
      if (unanswered.length > 0) throw unconfirmed(topic, answers, unanswered);
      this.#forget(topic);
      return undefined;
    }
    const { data, leftOut } = uniteRoutes(routes);
    this.#report("brokenRoute", topic, "", leftOut.count > 0, `left out of the route of topic "${topic}": ${leftOut}`);
    const isPartial = this.#reportPartial(topic, answers, data, unanswered.length === 0);
    const turn = this.#found.get(topic)?.turn ?? Math.floor(Math.random() * answers.length);
    const texts = new Map(answers.map((answer) => [answer.address, textOf(answer.data)]));
    this.#found.set(topic, { data, text: JSON.stringify(data), texts, turn, isPartial });
    return data;
  }

  /** Notes that a topic is gone: one request per refresh notices when it is there again. */
  #forget(topic: string): void {
    const found = this.#found.get(topic);
    if (found === undefined) return; // nothing is kept of names that nobody ever knew
    this.#found.set(topic, { data: undefined, text: "", texts: new Map(), turn: found.turn, isPartial: false });
    this.#report("partialRoute", topic, "", false, "");
  }

  #reportPartial(topic: string, answers: readonly RouteAnswer[], data: TopicRouteData, areAll: boolean): boolean {
    const partial = new ShortList();
    for (const answer of answers) {
      const missing = lacking(answer.data, data);
      if (missing.count > 0) partial.add(`${answer.address} lacks ${missing}`);
    }
    const isPartial = partial.count > 0;
    const text = `name servers disagree about topic "${topic}", using what any of them has: ${partial}`;
    if (isPartial || areAll) this.#report("partialRoute", topic, "", isPartial, text);
    return isPartial;
  }

  #reportLeftOut(topic: string, { address, leftOut }: RouteAnswer): void {
    const text = `left out of the route of topic "${topic}" that name server ${address} has: ${leftOut}`;
    this.#report("brokenRoute", topic, address, leftOut.count > 0, text);
  }

  /** Reports what is wrong once, and when it is over. */
  #report(type: "partialRoute" | "brokenRoute", topic: string, place: string, isWrong: boolean, text: string): void {
    const key = JSON.stringify([type, topic, place]);
    if (isWrong === this.#reported.has(key)) return;
    if (isWrong) {
      this.#reported.add(key);
      this.#events.emit("warning", type, text, { topic });
    } else {
      this.#reported.delete(key);
      this.#events.emit("info", type, `${RECOVERED[type]} topic "${topic}"`, { topic });
    }
  }
}

const RECOVERED = {
  partialRoute: "name servers agree again about",
  brokenRoute: "nothing is left out any more of the route of",
} as const;

/** A handler of rejections for those who can go on as if the topic did not exist: undefined if that is not certain. */
export function unlessUnconfirmed(error: unknown): undefined {
  if (error instanceof NameServerError && error.code === "TOPIC_UNCONFIRMED") return undefined;
  throw error;
}

/** A route as a text that is the same for the same route; empty if there is none. */
function textOf(data: TopicRouteData | undefined): string {
  return data === undefined ? "" : JSON.stringify(uniteRoutes([data]).data);
}

function unconfirmed(
  topic: string,
  answers: RouteRound["answers"],
  unanswered: RouteRound["unanswered"],
): NameServerError {
  const [knowing, silent] = [new ShortList(), new ShortList()];
  for (const { address } of answers) knowing.add(address);
  for (const { address, error } of unanswered) {
    silent.add(`${address} (${reasonOf(error)})`);
  }
  return new NameServerError(
    `Cannot find out whether topic "${topic}" exists: ${knowing} does not know it, but not all name servers could be ` +
      `asked: ${silent}; check those, or leave them out of nameServers`,
    { code: "TOPIC_UNCONFIRMED", retriable: true, cause: unanswered[0]!.error },
  );
}
