/**
 * Where topics live: routes of the topics in use, kept fresh.
 *
 * @module
 */

import { compareQueues, type MessageQueue } from "../message.ts";
import type { TopicRouteData } from "../wire/bodies.ts";
import { Permission } from "../wire/codes.ts";
import { readOrderConf } from "./order_conf.ts";
import { inBackground } from "../owned_work.ts";

/** The route of one topic, ready for use. */
export interface TopicRoute {
  /** The topic. */
  readonly topic: string;
  /** The queues that may be read, in the order that all members of a group share. */
  readonly readQueues: readonly MessageQueue[];
  /**
   * The queues that may be written, on brokers that have a master; of an order topic those that its operator has
   * listed, in that order, also while their brokers are unavailable: keys must not move.
   */
  readonly writeQueues: readonly MessageQueue[];
  /** The brokers: addresses by broker name, then by broker id (0 is the master). */
  readonly brokers: ReadonlyMap<string, ReadonlyMap<number, string>>;
}

/** Computes queues and addresses from what a name server answered. Source: MQClientInstance. */
export function readRoute(topic: string, data: TopicRouteData): TopicRoute {
  const brokers = new Map<string, ReadonlyMap<number, string>>();
  for (const broker of data.brokerDatas ?? []) {
    const addresses = Object.entries(broker.brokerAddrs ?? {}).map(([id, at]) => [Number(id), at] as const);
    brokers.set(broker.brokerName, new Map(addresses));
  }
  const readQueues: MessageQueue[] = [];
  const writeQueues: MessageQueue[] = [];
  for (const { brokerName: broker, perm, readQueueNums, writeQueueNums } of data.queueDatas ?? []) {
    const addresses = brokers.get(broker);
    if (addresses === undefined) continue;
    for (let queueId = 0; (perm & Permission.READ) !== 0 && queueId < readQueueNums; queueId++) {
      readQueues.push({ topic, broker, queueId });
    }
    for (let queueId = 0; (perm & Permission.WRITE) !== 0 && addresses.has(0) && queueId < writeQueueNums; queueId++) {
      writeQueues.push({ topic, broker, queueId });
    }
  }
  return {
    topic,
    readQueues: readQueues.sort(compareQueues),
    writeQueues: orderedQueues(topic, data.orderTopicConf) ?? writeQueues.sort(compareQueues),
    brokers,
  };
}

/** The queues of an order topic; undefined if it is none. */
function orderedQueues(topic: string, orderTopicConf: string | undefined): MessageQueue[] | undefined {
  const brokers = readOrderConf(orderTopicConf ?? "");
  if (brokers.length === 0) return undefined;
  return brokers.flatMap(({ broker, queues }) =>
    Array.from({ length: queues }, (_, queueId) => ({ topic, broker, queueId }))
  );
}

/** Whether two routes lead to the same queues and addresses. */
function sameRoute(a: TopicRoute, b: TopicRoute): boolean {
  const text = (route: TopicRoute) =>
    JSON.stringify([
      route.readQueues,
      route.writeQueues,
      [...route.brokers].map(([name, at]) => [name, [...at].sort(([x], [y]) => x - y)]).sort(),
    ]);
  return text(a) === text(b);
}

/** Asks for one topic's route; undefined if nobody knows the topic. */
export type RouteSource = (topic: string) => Promise<TopicRouteData | undefined>;

/** How {@linkcode Routes} reports changes. */
export interface RouteListener {
  /** A topic in use has other queues or addresses than before. */
  onChanged(route: TopicRoute): void;
  /** A route could not be asked for; the one from before stays in use. */
  onFailed(topic: string, error: unknown): void;
}

/**
 * In how many parts all routes are refreshed, one after the other: name servers are not asked for all of them at once.
 */
const PARTS = 30;
/** From this turn on in which nobody holds a route or has asked for it, it is not refreshed any more. */
const UNUSED = 2;
/** From this one on it is forgotten. */
const FORGOTTEN = 10;

/** A route, and whether it is in use. */
interface KnownRoute {
  readonly route: TopicRoute;
  /** Whether it was asked for since its last turn. */
  isUsed: boolean;
  /** For how many turns nobody has held it or asked for it. */
  unused: number;
}

/** The routes of all topics that this client uses: those that somebody holds, and those that were asked for lately. */
export class Routes {
  #ask: RouteSource;
  #listener: RouteListener;
  #known = new Map<string, KnownRoute>();
  /** How many hold the route of a topic. */
  #holders = new Map<string, number>();
  /** Topics whose turn is still to come in this interval. */
  #due: string[] = [];
  /** Computed when first asked for after a change: it is looked at for every request. */
  #brokers: ReadonlyMap<string, ReadonlyMap<number, string>> | undefined;
  #asking = new Map<string, Promise<TopicRoute | undefined>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  /** Makes an empty table. */
  constructor(ask: RouteSource, listener: RouteListener) {
    this.#ask = ask;
    this.#listener = listener;
  }

  /** Refreshes each topic in use every `interval` milliseconds, not all at once, until {@linkcode Routes.stop}. */
  start(interval: number): void {
    const parts = Math.min(PARTS, Math.max(1, this.#known.size));
    this.#timer = setTimeout(() => {
      this.#refreshPart();
      this.start(interval);
    }, interval / parts);
  }

  /** Ends the refreshing; failures are of no interest any more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Keeps the routes of some topics fresh, until what is returned is called. */
  hold(topics: Iterable<string>): () => void {
    const held = [...topics];
    const count = (by: number) => {
      for (const topic of held) this.#holders.set(topic, (this.#holders.get(topic) ?? 0) + by);
    };
    count(1);
    return () => {
      count(-1);
      for (const topic of held.splice(0)) if (this.#holders.get(topic) === 0) this.#holders.delete(topic);
    };
  }

  /** The route as it is known now. */
  known(topic: string): TopicRoute | undefined {
    return this.#use(topic)?.route;
  }

  /** The known route, else asks for it; undefined if no name server knows the topic. */
  async get(topic: string): Promise<TopicRoute | undefined> {
    return this.known(topic) ?? await this.refresh(topic);
  }

  /** Asks for the route; an unknown topic keeps the route that it had, as a broker may be away for a moment. */
  refresh(topic: string): Promise<TopicRoute | undefined> {
    this.#use(topic);
    return this.#askOnce(topic);
  }

  #askOnce(topic: string): Promise<TopicRoute | undefined> {
    let asking = this.#asking.get(topic);
    if (asking === undefined) {
      asking = this.#refresh(topic).finally(() => this.#asking.delete(topic));
      this.#asking.set(topic, asking);
    }
    return asking;
  }

  /** All brokers that any route names that is kept fresh: addresses by broker name, then by broker id. */
  brokers(): ReadonlyMap<string, ReadonlyMap<number, string>> {
    if (this.#brokers === undefined) {
      const all = new Map<string, ReadonlyMap<number, string>>();
      for (const { route, unused } of this.#known.values()) {
        if (unused >= UNUSED) continue;
        for (const [name, addresses] of route.brokers) all.set(name, addresses);
      }
      this.#brokers = all;
    }
    return this.#brokers;
  }

  /** A route that is in use again, if it is known. */
  #use(topic: string): KnownRoute | undefined {
    const known = this.#known.get(topic);
    if (known === undefined) return undefined;
    known.isUsed = true;
    if (known.unused >= UNUSED) this.#brokers = undefined;
    known.unused = 0;
    return known;
  }

  /** Refreshes the next topics, so many that all are refreshed within an interval. */
  #refreshPart(): void {
    if (this.#due.length === 0) this.#due = [...this.#known.keys()];
    for (const topic of this.#due.splice(0, Math.ceil(this.#known.size / PARTS))) {
      const known = this.#known.get(topic);
      if (known !== undefined && this.#isWanted(topic, known)) {
        inBackground(this.#askOnce(topic), (error) => this.#stopped || this.#listener.onFailed(topic, error));
      }
    }
  }

  /** Whether a route is to be refreshed; one that has not been in use for long is forgotten. */
  #isWanted(topic: string, known: KnownRoute): boolean {
    known.unused = known.isUsed || this.#holders.has(topic) ? 0 : known.unused + 1;
    known.isUsed = false;
    if (known.unused >= FORGOTTEN) this.#known.delete(topic);
    if (known.unused >= UNUSED) this.#brokers = undefined;
    return known.unused < UNUSED;
  }

  async #refresh(topic: string): Promise<TopicRoute | undefined> {
    const data = await this.#ask(topic);
    const known = this.#known.get(topic);
    const before = known?.route;
    if (data === undefined) return before;
    const now = readRoute(topic, data);
    const isSame = before !== undefined && sameRoute(before, now);
    const route = isSame ? before : now;
    this.#brokers = undefined;
    this.#known.delete(topic); // so that it comes last: where routes disagree, the newest counts
    this.#known.set(topic, { route, isUsed: known?.isUsed ?? true, unused: known?.unused ?? 0 });
    if (!isSame && before !== undefined) this.#listener.onChanged(route);
    return route;
  }
}
