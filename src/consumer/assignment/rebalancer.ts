/**
 * Which queues are ours, and keeping it so.
 *
 * @module
 */

import { atMost, delay } from "../../waiting.ts";
import type { BrokerClient } from "../../brokers/broker_client.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { refusalBelow } from "../../cluster/credentials.ts";
import { firstAnswer } from "../../cluster/first_answer.ts";
import type { TopicRoute } from "../../cluster/routes.ts";
import { ConsumerStartError, RebalanceError } from "../../errors.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import type { AllocationStrategy } from "../allocation/allocate.ts";
import { RepeatedWork } from "./repeated_work.ts";
import { inBackground, notAPromise, unheard } from "../../owned_work.ts";

/** After a run that could not be completed, in milliseconds. */
const RETRY_INTERVAL = 1_000;
/** The same during the start. */
const START_RETRY_INTERVAL = 50;
/** How many such runs change nothing: a broker may be away for a moment. */
const PATIENCE = 3;

/** Why queues could not be computed. */
interface Incomplete {
  readonly reason: string;
  readonly error?: unknown;
}

/** A queue that is to become ours. */
export interface Gain {
  /** The queue. */
  readonly queue: MessageQueue;
  /** Whether the group has other members, one of which may still be committing. */
  readonly shared: boolean;
}

/** What a {@linkcode Rebalancer} works with. */
export interface RebalancerContext {
  /** Routes and heartbeats. */
  readonly cluster: Cluster;
  /** Reads the members of the group. */
  readonly brokers: Pick<BrokerClient, "members">;
  /** The group. */
  readonly group: string;
  /** Divides queues between members; undefined if each member has them all. */
  readonly allocation: AllocationStrategy | undefined;
  /** Milliseconds between two runs that nothing has caused. */
  readonly interval: number;
  /** The topics that are subscribed now, the retry topic included. */
  readonly topics: () => readonly string[];
  /** The queues that are assigned now. */
  readonly owned: () => readonly MessageQueue[];
  /** Makes queues ours and revokes others; resolves when those that are revoked are committed. */
  readonly change: (gained: readonly Gain[], lost: readonly MessageQueue[], reason: string) => Promise<void>;
  /** Called with topics whose queues were revoked because it is unknown whose they are. */
  readonly onUnknown: (topic: string, reason: string, error: RebalanceError) => void;
}

/** How many queues a topic has of which none is for this member, and how many members share them. */
export interface Unshared {
  readonly queues: number;
  readonly members: number;
}

/** What one run has found out. */
interface Shares {
  readonly gains: Gain[];
  readonly lost: MessageQueue[];
  failure: Incomplete | undefined;
  nextIn: number;
}

/**
 * Computes our queues: on a timer, soon after a notice, and at once on request. One run at a time.
 *
 * While no broker of a topic answers, nothing changes: nobody else can have its queues either. If the brokers answer
 * and we are not among the members, or the strategy fails, nothing changes for three runs; then others count on our
 * queues.
 */
export class Rebalancer {
  #context: RebalancerContext;
  /** Topics that did not exist at the last look. */
  #missing = new Set<string>();
  #incompleteRuns = new Map<string, number>();
  #withoutShare = new Map<string, Unshared>();
  #runs = new RepeatedWork(() => this.#balanceAll(), unheard); // it takes its failures as answers
  /** Why the last run was not complete. */
  #failure: Incomplete | undefined = { reason: "no run was complete yet" };

  /** Makes a rebalancer that waits for its first run. */
  constructor(context: RebalancerContext) {
    this.#context = context;
  }

  /** The topics with queues none of which is for this member, by the last run that was complete. */
  get withoutShare(): ReadonlyMap<string, Unshared> {
    return this.#withoutShare;
  }

  /** Notes that a topic does not exist yet: that is no failure. */
  expect(topic: string): void {
    this.#missing.add(topic);
  }

  /**
   * Runs for the first time, until it is complete.
   *
   * @throws {ConsumerStartError} if it is not within `timeout` milliseconds
   * @throws {CredentialsError | PermissionError} at once, if brokers refuse the account
   */
  async start(timeout: number): Promise<void> {
    const end = performance.now() + timeout;
    do {
      await atMost(this.run(), end - performance.now());
      if (this.#failure === undefined) return;
      const refusal = refusalBelow(this.#failure.error);
      if (refusal !== undefined) throw refusal;
      await delay(Math.min(START_RETRY_INTERVAL, Math.max(0, end - performance.now())));
    } while (performance.now() < end);
    const { reason, error } = this.#failure;
    throw new ConsumerStartError(
      `Cannot join group "${this.#context.group}" within ${Math.round(timeout)} ms: ${reason}`,
      { code: "REBALANCE_FAILED", retriable: true, cause: error },
    );
  }

  /** Runs now; resolves when a run that began after this call is complete. */
  run(): Promise<void> {
    return this.#runs.run();
  }

  /** Runs soon: something has changed. */
  notice(): void {
    this.#runs.notice();
  }

  /** Ends the runs; resolves when the one under way is complete. */
  stop(): Promise<void> {
    return this.#runs.stop();
  }

  async #balanceAll(): Promise<number> {
    const shares: Shares = { gains: [], lost: [], failure: undefined, nextIn: this.#context.interval };
    try {
      await this.#share(shares);
      if (this.#runs.isStopped) return shares.nextIn;
      const { gains, lost } = shares;
      if (gains.length + lost.length > 0) {
        await this.#context.change(gains, lost, "the queue is another member's now");
      }
      await this.#dropUnsubscribed();
    } catch (error) { // whatever it was, the next run must come
      const reason = "the rebalance failed";
      shares.failure = { reason, error: this.#failed("", { reason, error }) };
      shares.nextIn = RETRY_INTERVAL;
    }
    this.#failure = shares.failure;
    return shares.nextIn;
  }

  /** Computes the queues of all topics, by one list of members. */
  async #share(shares: Shares): Promise<void> {
    const topics = this.#context.topics();
    const routes = await Promise.all(topics.map((topic) => this.#route(topic)));
    const known = routes.filter((route): route is TopicRoute => !("reason" in route));
    const members = this.#context.allocation === undefined || known.length === 0 ? ALONE : await this.#members(known);
    if (this.#runs.isStopped) return;
    const owned = byTopic(this.#context.owned());
    topics.forEach((topic, at) => this.#shareTopic(topic, routes[at]!, members, owned.get(topic) ?? [], shares));
    // Not awaited: a dead broker would hold up the others.
    if (shares.failure !== undefined) inBackground(this.#context.cluster.membership.beat(), unheard);
  }

  #shareTopic(
    topic: string,
    route: TopicRoute | Incomplete,
    members: readonly string[] | Incomplete,
    ours: readonly MessageQueue[],
    shares: Shares,
  ): void {
    const wanted = "reason" in route ? route : "reason" in members ? members : this.#allocate(route, members);
    if ("reason" in wanted) {
      this.#incomplete(topic, wanted, ours, shares, "reason" in route || "reason" in members);
      return;
    }
    this.#incompleteRuns.delete(topic);
    this.#missing.delete(topic);
    this.#noteShare(topic, route, members, wanted.length);
    const keys = new Set(wanted.map(queueKey));
    const held = new Set(ours.map(queueKey));
    const shared = !("reason" in members) && new Set(members).size > 1;
    for (const queue of wanted) if (!held.has(queueKey(queue))) shares.gains.push({ queue, shared });
    for (const queue of ours) if (!keys.has(queueKey(queue))) shares.lost.push(queue);
  }

  #noteShare(
    topic: string,
    route: TopicRoute | Incomplete,
    members: readonly string[] | Incomplete,
    ours: number,
  ): void {
    const queues = "reason" in route ? 0 : route.readQueues.length;
    if (ours > 0 || queues === 0) this.#withoutShare.delete(topic);
    else this.#withoutShare.set(topic, { queues, members: "reason" in members ? 1 : new Set(members).size });
  }

  #incomplete(
    topic: string,
    failure: Incomplete,
    ours: readonly MessageQueue[],
    shares: Shares,
    isUnanswered: boolean,
  ): void {
    const runs = (this.#incompleteRuns.get(topic) ?? 0) + 1;
    this.#incompleteRuns.set(topic, runs);
    if (this.#missing.has(topic)) { // asked for ever more rarely
      shares.nextIn = Math.min(shares.nextIn, RETRY_INTERVAL * 2 ** Math.min(runs - 1, 5));
      return;
    }
    const error = this.#failed(topic, failure);
    shares.failure = { reason: failure.reason, error };
    shares.nextIn = Math.min(shares.nextIn, RETRY_INTERVAL);
    if (isUnanswered || runs !== PATIENCE || ours.length === 0) return;
    this.#context.onUnknown(topic, failure.reason, error);
    shares.lost.push(...ours);
  }

  #failed(topic: string, { reason, error }: Incomplete): RebalanceError {
    return new RebalanceError(this.#context.group, topic, reason, error);
  }

  async #route(topic: string): Promise<TopicRoute | Incomplete> {
    try {
      return await this.#context.cluster.routes.get(topic) ?? { reason: `no name server knows topic "${topic}"` };
    } catch (error) {
      return { reason: `the route of topic "${topic}" is not available`, error };
    }
  }

  /** Our queues: the shares of all entries that bear our id, as brokers list lost connections for a while. */
  #allocate(route: TopicRoute, members: readonly string[]): readonly MessageQueue[] | Incomplete {
    const { cluster: { clientId }, group, allocation } = this.#context;
    const { readQueues: queues } = route;
    if (allocation === undefined) return queues;
    if (!members.includes(clientId)) return { reason: `this client is not in the list of group "${group}"` };
    const ours = new Map<string, MessageQueue>();
    try {
      for (const [index, member] of members.entries()) {
        if (member !== clientId) continue;
        const share = notAPromise(allocation.allocate({ group, clientId, queues, members, index }), allocation.name);
        if (!areOf(route, share)) {
          return {
            reason: `the allocation strategy "${allocation.name}" returned no list of queues of the topic, each once`,
          };
        }
        for (const queue of share) ours.set(queueKey(queue), queue);
      }
      return [...ours.values()];
    } catch (error) {
      return { reason: `the allocation strategy "${allocation.name}" failed`, error };
    }
  }

  /** The members, sorted, by the word of one broker: members register with all brokers of their topics. */
  async #members(routes: readonly TopicRoute[]): Promise<readonly string[] | Incomplete> {
    const { group, brokers, cluster: { options: { requestTimeout: timeout } } } = this.#context;
    const names = inRandomOrder(new Set(routes.flatMap((route) => [...route.brokers.keys()])));
    if (names.length === 0) return { reason: `no topic of group "${group}" has a broker` };
    let asked = "";
    try {
      const action = `ask brokers who is in group "${group}"`;
      const ask = (broker: string) => brokers.members(group, asked = broker);
      return (await firstAnswer(names, ask, { timeout, action })).toSorted(byCodeUnits);
    } catch (error) {
      const who = names.length === 1 ? `broker "${asked}" does` : `${names.length} brokers, "${asked}" the last, do`;
      return { reason: `${who} not list the members of group "${group}"`, error };
    }
  }

  async #dropUnsubscribed(): Promise<void> {
    const topics = new Set(this.#context.topics());
    for (const topic of this.#withoutShare.keys()) if (!topics.has(topic)) this.#withoutShare.delete(topic);
    const lost = this.#context.owned().filter((queue) => !topics.has(queue.topic));
    if (lost.length > 0) await this.#context.change([], lost, "the topic is no longer subscribed");
  }
}

/** What stands for the list of members where each has all queues. */
const ALONE: readonly string[] = [];

function byTopic(queues: readonly MessageQueue[]): ReadonlyMap<string, MessageQueue[]> {
  const topics = new Map<string, MessageQueue[]>();
  for (const queue of queues) {
    const others = topics.get(queue.topic);
    if (others === undefined) topics.set(queue.topic, [queue]);
    else others.push(queue);
  }
  return topics;
}

function inRandomOrder(names: Iterable<string>): readonly string[] {
  return [...names].map((name) => ({ name, at: Math.random() })).sort((a, b) => a.at - b.at).map(({ name }) => name);
}

/** Whether an allocation strategy, which may be the user's own, has kept to the queues that it was given. */
function areOf({ readQueues }: TopicRoute, queues: unknown): queues is readonly MessageQueue[] {
  if (!Array.isArray(queues) || queues.some((queue) => typeof queue !== "object" || queue === null)) return false;
  const left = new Set(readQueues.map(queueKey));
  return queues.every((queue) => left.delete(queueKey(queue)));
}

/** The order of Java's `String.compareTo`, which all members of a group must share. */
function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
