/**
 * Which queues are ours, and keeping it so.
 *
 * @module
 */

import { delay } from "../waiting.ts";
import type { BrokerClient } from "../cluster/broker_client.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { TopicRoute } from "../cluster/routes.ts";
import { ConsumerStartError, RebalanceError } from "../errors.ts";
import { type MessageQueue, queueKey } from "../message.ts";
import type { AllocationStrategy } from "./allocate.ts";
import { RepeatedWork } from "./repeated_work.ts";

/** After a run that could not be completed, in milliseconds. */
const RETRY_INTERVAL = 1_000;
/** The same during the start. */
const START_RETRY_INTERVAL = 50;
/** How many such runs change nothing: a broker may be away for a moment. */
const PATIENCE = 3;

/** Why the queues of a topic could not be computed. */
interface Incomplete {
  readonly reason: string;
  readonly error?: unknown;
}

/** A queue that is to become ours. */
export interface Gain {
  /** The queue. */
  readonly queue: MessageQueue;
  /** Whether it appeared in the route after this consumer had seen the topic. */
  readonly isNew: boolean;
  /** Whether the group has other members, one of which may still be committing. */
  readonly shared: boolean;
}

/** What a {@linkcode Rebalancer} works with. */
export interface RebalancerContext {
  /** Routes and heartbeats. */
  readonly cluster: Cluster;
  /** Asks who is in the group. */
  readonly brokers: Pick<BrokerClient, "members">;
  /** The group. */
  readonly group: string;
  /** Divides queues between members; undefined if each member has them all. */
  readonly allocation: AllocationStrategy | undefined;
  /** Milliseconds between two runs that nothing has caused. */
  readonly interval: number;
  /** The topics that are subscribed now, the retry topic included. */
  readonly topics: () => readonly string[];
  /** The queues that are ours now. */
  readonly owned: () => readonly MessageQueue[];
  /** Makes queues ours and lets others go; resolves when those that go are committed. */
  readonly change: (gained: readonly Gain[], lost: readonly MessageQueue[], reason: string) => Promise<void>;
  /** Hears of topics whose queues were let go because nobody can tell whose they are. */
  readonly onUnknown: (topic: string, reason: string, error: RebalanceError) => void;
}

/**
 * Computes our queues: on a timer, and at once when asked to. One run at a time; who asks during a run gets another.
 *
 * If a route or the list of members cannot be had, or we are not in it, nothing changes for three runs.
 */
export class Rebalancer {
  #context: RebalancerContext;
  /** The queues of each topic at the first look: others are new. */
  #seen = new Map<string, Set<string>>();
  /** Topics that did not exist when they were asked for last. */
  #missing = new Set<string>();
  #incompleteRuns = new Map<string, number>();
  #runs = new RepeatedWork(() => this.#balanceAll());
  /** Why the last run was not complete. */
  #failure: Incomplete | undefined;
  /** When the next run is due at the latest, in milliseconds from the end of this one. */
  #nextIn = 0;

  /** Makes a rebalancer that waits for its first run. */
  constructor(context: RebalancerContext) {
    this.#context = context;
  }

  /** Notes that a topic does not exist yet: all its queues will be new. */
  expect(topic: string): void {
    this.#seen.set(topic, new Set());
    this.#missing.add(topic);
  }

  /** Runs for the first time, until it is complete. */
  async start(timeout: number): Promise<void> {
    const started = performance.now();
    for (;;) {
      await this.run();
      const failure = this.#failure;
      if (failure === undefined) return;
      if (performance.now() - started > timeout) {
        const { reason, error } = failure;
        throw new ConsumerStartError(`Cannot join group "${this.#context.group}" within ${timeout} ms: ${reason}`, {
          code: "REBALANCE_FAILED",
          retriable: true,
          cause: error,
        });
      }
      await delay(START_RETRY_INTERVAL);
    }
  }

  /** Runs now; resolves when a run that began after this call is complete. */
  run(): Promise<void> {
    return this.#runs.run();
  }

  /** Ends the runs; resolves when the one under way is complete. */
  stop(): Promise<void> {
    return this.#runs.stop();
  }

  async #balanceAll(): Promise<number> {
    this.#failure = undefined;
    this.#nextIn = this.#context.interval;
    try {
      await Promise.all(this.#context.topics().map((topic) => this.#balance(topic)));
      await this.#dropUnsubscribed();
    } catch (error) { // whatever it was, the next run must come
      const reason = "the rebalance failed";
      this.#failure = { reason, error: this.#failed("", { reason, error }) };
      this.#nextIn = RETRY_INTERVAL;
    }
    return this.#nextIn;
  }

  async #balance(topic: string): Promise<void> {
    const ours = this.#context.owned().filter((queue) => queue.topic === topic);
    const wanted = await this.#allocate(topic);
    if (this.#runs.isStopped) return;
    if ("reason" in wanted) {
      await this.#incomplete(topic, wanted, ours);
      return;
    }
    this.#incompleteRuns.delete(topic);
    this.#missing.delete(topic);
    const keys = new Set(wanted.queues.map(queueKey));
    const held = new Set(ours.map(queueKey));
    const seen = this.#seen.get(topic) ?? new Set(wanted.route.readQueues.map(queueKey));
    this.#seen.set(topic, seen);
    const gained = wanted.queues.filter((queue) => !held.has(queueKey(queue)));
    const lost = ours.filter((queue) => !keys.has(queueKey(queue)));
    if (gained.length + lost.length === 0) return;
    const gains = gained.map((queue) => ({ queue, isNew: !seen.has(queueKey(queue)), shared: wanted.shared }));
    await this.#context.change(gains, lost, "the queue is another member's now");
  }

  async #incomplete(topic: string, failure: Incomplete, ours: readonly MessageQueue[]): Promise<void> {
    const runs = (this.#incompleteRuns.get(topic) ?? 0) + 1;
    this.#incompleteRuns.set(topic, runs);
    if (this.#missing.has(topic)) { // asked for ever more rarely
      this.#nextIn = Math.min(this.#nextIn, RETRY_INTERVAL * 2 ** Math.min(runs - 1, 5));
      return;
    }
    const error = this.#failed(topic, failure);
    this.#failure = { reason: failure.reason, error };
    this.#nextIn = Math.min(this.#nextIn, RETRY_INTERVAL);
    this.#context.cluster.membership.beat(); // not awaited: a dead broker would hold up the others
    if (runs !== PATIENCE || ours.length === 0) return;
    this.#context.onUnknown(topic, failure.reason, error);
    await this.#context.change([], ours, failure.reason);
  }

  #failed(topic: string, { reason, error }: Incomplete): RebalanceError {
    return new RebalanceError(this.#context.group, topic, reason, error);
  }

  async #allocate(
    topic: string,
  ): Promise<{ queues: readonly MessageQueue[]; route: TopicRoute; shared: boolean } | Incomplete> {
    const { cluster, group, allocation } = this.#context;
    let route: TopicRoute | undefined;
    try {
      route = await cluster.routes.get(topic);
    } catch (error) {
      return { reason: `the route of topic "${topic}" cannot be had`, error };
    }
    if (route === undefined) return { reason: `no name server knows topic "${topic}"` };
    if (allocation === undefined) return { queues: route.readQueues, route, shared: false };
    const members = await this.#members(route);
    if ("reason" in members) return members;
    if (!members.includes(cluster.clientId)) return { reason: `this client is not in the list of group "${group}"` };
    const context = { group, clientId: cluster.clientId, queues: route.readQueues, members };
    try {
      const queues = allocation.allocate(context);
      if (areOf(route, queues)) return { queues, route, shared: members.length > 1 };
      return { reason: `the allocation strategy "${allocation.name}" gave no list of queues of the topic, each once` };
    } catch (error) {
      return { reason: `the allocation strategy "${allocation.name}" failed`, error };
    }
  }

  /** Asks the topic's brokers in random order: the first that answers will do. */
  async #members(route: TopicRoute): Promise<readonly string[] | Incomplete> {
    const names = [...route.brokers.keys()].map((name) => ({ name, at: Math.random() })).sort((a, b) => a.at - b.at);
    let failure: Incomplete = { reason: `topic "${route.topic}" has no broker` };
    for (const { name } of names) {
      try {
        return (await this.#context.brokers.members(this.#context.group, name)).toSorted(byCodeUnits);
      } catch (error) {
        failure = { reason: `broker "${name}" does not tell who is in group "${this.#context.group}"`, error };
      }
    }
    return failure;
  }

  async #dropUnsubscribed(): Promise<void> {
    const topics = new Set(this.#context.topics());
    const lost = this.#context.owned().filter((queue) => !topics.has(queue.topic));
    if (lost.length > 0) await this.#context.change([], lost, "the topic is no longer subscribed");
  }
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
