/**
 * A group consumer as a whole: its parts, and its life from joining to leaving the group.
 *
 * @module
 */

import type { Cluster } from "../cluster/cluster.ts";
import { atMost, delay, waitFor } from "../waiting.ts";
import { ConsumerShutdownError, TimeoutError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { OptionsCheck } from "../options.ts";
import { LocalOffsetStore } from "../offsets/local.ts";
import { createOffsetStore } from "../offsets/create.ts";
import type { OffsetStore } from "../offsets/store.ts";
import type { QueueBatch } from "./delivery/batch.ts";
import type { Consumer, ConsumerStats, DrainOptions, QueueLag, SeekOptions, SeekPosition } from "./consumer.ts";
import { waitToClose } from "./closing.ts";
import { closedFindings, type Findings } from "./diagnosis/finding.ts";
import { GroupDiagnosis } from "./diagnosis/group.ts";
import type { ConsumerHealth } from "../health.ts";
import { groupCommands } from "./group/commands.ts";
import { warnOfLongGroup } from "./group_length.ts";
import type { BatchSource } from "./delivery/iteration.ts";
import { Looping } from "./delivery/looping.ts";
import { enterGroup, type GroupMembership } from "./joining.ts";
import type { ConsumerOptions } from "./options.ts";
import { checkWaitOptions } from "./wait_options.ts";
import { checkConsumerOptions, type CheckedConsumerOptions } from "./options_check.ts";
import { ConsumerParts } from "./parts.ts";
import { lagOf, resolvePosition } from "./positions.ts";
import { statsOf } from "./stats.ts";
import type { SubscriptionManager } from "./subscriptions/subscription_manager.ts";
import { inAnyCase, inBackground } from "../owned_work.ts";
import type { ConsumerObserver } from "../telemetry/consumer_observer.ts";

/** How long a new broker may take until name servers know the retry topic that it has made, in milliseconds. */
const RETRY_TOPIC_DELAY = 1_000;
/** How long `seek()` may take by default, in milliseconds. */
const SEEK_TIMEOUT = 10_000;
/** How long the last commit, unlocking and leaving may take beside the time that batches in flight have. */
const LEAVE_TIME = 800;

/** Joins a group; resolves when the brokers know this member and its first queues are known. */
export async function joinGroup<T>(
  cluster: Cluster,
  options: ConsumerOptions,
  observers: readonly ConsumerObserver[] = [],
): Promise<GroupConsumer<T>> {
  const checked = checkConsumerOptions(options);
  claimStore(checked);
  const offsets = checked.offsetStore ??
    (checked.model === "broadcasting" ? await localOffsets(cluster, checked) : undefined);
  const consumer = new GroupConsumer<T>(cluster, checked, offsets, observers);
  await consumer.start();
  return consumer;
}

/** The groups of our own stores: one store has the offsets of one consumer, and ends with it. */
const claimed = new WeakMap<OffsetStore, string>();

/** @throws {ConfigError} if another consumer uses the store */
function claimStore({ group, offsetStore }: CheckedConsumerOptions): void {
  if (!(offsetStore instanceof LocalOffsetStore)) return;
  const other = claimed.get(offsetStore);
  if (other === undefined) {
    claimed.set(offsetStore, group);
    return;
  }
  const check = new OptionsCheck("create a consumer");
  const problem =
    `offsetStore is used by a consumer of group "${other}" already: each consumer needs a store of its own`;
  check.explain("offsetStore", offsetStore, "a store that no other consumer has", problem);
  check.done();
}

/** The place for offsets on this machine, where none is given. */
async function localOffsets(cluster: Cluster, { group, instance }: CheckedConsumerOptions): Promise<OffsetStore> {
  const store = await createOffsetStore({ group, instance });
  if (store.kind === "memory") {
    const text =
      `the offsets of group "${group}" are kept in memory and gone with this process: neither Deno KV nor a ` +
      `file is available; give the consumer an offsetStore, or the process the permission to write`;
    cluster.options.events.emit("warning", "offsetsInMemory", text, { group });
  }
  return store;
}

/** A member of a group. */
export class GroupConsumer<T = unknown> extends Looping<T, QueueBatch<T>> implements Consumer<T> {
  readonly group: string;
  #cluster: Cluster;
  #options: CheckedConsumerOptions;
  #parts: ConsumerParts<T>;
  #diagnosis: GroupDiagnosis<T>;
  #persistTimer: ReturnType<typeof setInterval> | undefined;
  #persisting = false;
  #membership: GroupMembership | undefined;

  constructor(
    cluster: Cluster,
    options: CheckedConsumerOptions,
    offsets: OffsetStore | undefined,
    observers: readonly ConsumerObserver[],
  ) {
    super({ ...options, what: `consumer of group "${options.group}"` });
    this.group = options.group;
    this.#cluster = cluster;
    this.#options = options;
    this.#parts = new ConsumerParts<T>(cluster, options, {
      observers,
      onSubscriptionsChanged: (topics) => this.#subscriptionsChanged(topics),
    }, offsets);
    const acksExplicitly = () => this.acksExplicitly;
    this.#diagnosis = new GroupDiagnosis<T>({ cluster, options, parts: this.#parts, acksExplicitly });
  }

  get subscriptions(): SubscriptionManager {
    return this.#parts.subscriptions.manager;
  }

  /** Joins the group; on a failure nothing is left behind. */
  async start(): Promise<void> {
    const { startTimeout, requestTimeout } = this.#cluster.options;
    const { offsets, subscriptions, rebalancer } = this.#parts;
    this.#cluster.users.attach(this);
    try {
      await offsets.open();
      const time = startTimeout > 0 ? startTimeout : requestTimeout;
      const end = performance.now() + time;
      const late = () => new TimeoutError(`join group "${this.group}"`, time);
      await waitFor(subscriptions.start(), { ms: end - performance.now(), late, signal: this.closing });
      for (const topic of subscriptions.topics()) this.#parts.groupStart.join(topic);
      this.checkOpen("join");
      await this.#parts.groupWatch.checkBeforeJoin();
      this.checkOpen("join");
      this.#enter();
      await waitFor(this.#cluster.membership.beat(), { ms: end - performance.now(), late, signal: this.closing });
      if (this.#options.model === "clustering") warnOfLongGroup(this.#cluster, this.group);
      await rebalancer.start(Math.max(0, end - performance.now()));
      await this.#parts.groupStart.joined(Math.max(0, end - performance.now()));
      this.checkOpen("join");
    } catch (error) {
      await this.close({ timeout: 0 });
      throw error;
    }
    const persist = () => inBackground(this.#persist(), (error) => this.#commitFailed(error));
    this.#persistTimer = setInterval(persist, this.#options.persistInterval);
    this.#parts.watchdog.start();
    this.#diagnosis.standstills.start();
    this.#parts.groupWatch.start(this.#options.rebalanceInterval);
  }

  #enter(): void {
    const { retryTopic, rebalancer, subscriptions } = this.#parts;
    this.#membership = enterGroup(this.#cluster, this.group, () => subscriptions.describe(), {
      ...groupCommands({
        parts: this.#parts,
        options: this.#options,
        nameServers: this.#cluster.options.nameServers,
        onFailed: (error) => this.#commitFailed(error),
      }),
      onRouteChanged: ({ topic }) =>
        inBackground(this.#routeChanged(topic), this.#failureOf(`a new route of "${topic}"`)),
      onBrokerRecovered: (broker) => this.#brokerBack(broker),
    });
    if (retryTopic !== undefined) rebalancer.expect(retryTopic);
  }

  protected source(): BatchSource<QueueBatch<T>> {
    return this.#parts.dispatcher;
  }

  assignment(): readonly MessageQueue[] {
    return this.#parts.assignment.owned.map((owned) => owned.queue);
  }

  pause(queues?: readonly MessageQueue[]): void {
    this.#parts.assignment.pause(true, queues);
  }

  resume(queues?: readonly MessageQueue[]): void {
    this.checkOpen("resume");
    this.#parts.assignment.pause(false, queues);
  }

  async seek(queue: MessageQueue, position: SeekPosition, options: SeekOptions = {}): Promise<void> {
    this.checkOpen("seek");
    const { timeout, signal } = checkWaitOptions("seek", options, SEEK_TIMEOUT);
    this.#parts.assignment.get(queue);
    const end = performance.now() + timeout;
    const late = () => new TimeoutError(`set the position of a queue of topic "${queue.topic}"`, timeout);
    const offset = await waitFor(resolvePosition(this.#parts.brokers, queue, position), { ms: timeout, late, signal });
    const limits = { timeout: Math.max(0, end - performance.now()), signal };
    await this.#parts.assignment.seek(queue, offset, `the queue's position was set to ${offset}`, limits);
  }

  commit(): Promise<void> {
    return this.#parts.assignment.commit();
  }

  lag(): Promise<readonly QueueLag[]> {
    const { brokers, offsets, groupStart, assignment } = this.#parts;
    const startOf = async (queue: MessageQueue, isRetry: boolean) =>
      await offsets.read(queue, "memoryThenStore") ?? await groupStart.offsetOf(queue, isRetry);
    return lagOf({ brokers, startOf, timeout: this.#cluster.options.requestTimeout }, assignment.owned);
  }

  async explain(): Promise<Findings> {
    if (this.isClosed) return closedFindings(`the consumer of group "${this.group}"`);
    return await this.#diagnosis.explain(() => this.lag());
  }

  /** Whether it works, without a request. */
  health(): ConsumerHealth {
    return this.#diagnosis.health();
  }

  stats(): ConsumerStats {
    return statsOf(this.#parts);
  }

  async drain(options: DrainOptions = {}): Promise<void> {
    this.checkOpen("drain");
    const { timeout, signal } = checkWaitOptions("drain", options, this.#options.closeTimeout);
    const { assignment } = this.#parts;
    const late = () => new TimeoutError(`drain the consumer of group "${this.group}": batches are in flight`, timeout);
    let isComplete = false;
    assignment.beginDrain();
    try {
      await waitFor(assignment.whenIdle().then(() => this.commit()), { ms: timeout, late, signal });
      isComplete = true;
    } finally {
      assignment.endDrain(isComplete);
    }
  }

  protected async end(timeout: number): Promise<void> {
    const { rebalancer, assignment, dispatcher, watchdog, groupWatch, subscriptions, settlement, locks } = this.#parts;
    const end = performance.now() + timeout + LEAVE_TIME;
    const left = () => Math.max(0, end - performance.now());
    const failed = this.#failureOf("a step of closing");
    const rebalanced = inAnyCase([() => rebalancer.stop()], failed);
    await inAnyCase([
      () => this.abortWaits(),
      () => assignment.stop(),
      () => dispatcher.close(),
      () => clearInterval(this.#persistTimer),
      () => watchdog.stop(),
      () => this.#diagnosis.standstills.stop(),
      () => groupWatch.stop(),
      () => this.#membership?.unlisten(),
      () => subscriptions.stop(),
      () => waitToClose(this.#diagnosis.closeWait, assignment.whenIdle(), timeout),
      () => atMost(rebalanced, left() / 2),
      () => atMost(this.#endAssignment(), left() * 3 / 4),
      () => settlement.close(),
      () => locks?.close(),
      () => atMost(this.#leave(failed), left()),
    ], failed);
    this.#cluster.users.detach(this);
  }

  async #endAssignment(): Promise<void> {
    try {
      await this.#parts.assignment.end("the consumer was closed");
    } catch (error) {
      this.#lastCommitFailed(error);
    }
  }

  /** All at once, and whatever becomes of the others. */
  async #leave(failed: (error: unknown) => void): Promise<void> {
    const { tracer, offsets } = this.#parts;
    await Promise.all([
      inAnyCase([() => tracer?.close()], failed),
      inAnyCase([() => offsets.close()], (error) => this.#lastCommitFailed(error)),
      inAnyCase([() => this.#membership?.leave()], failed),
    ]);
  }

  #failureOf(work: string): (error: unknown) => void {
    return this.#cluster.options.events.failureOf("stalled", `group "${this.group}": ${work}`, { group: this.group });
  }

  async #subscriptionsChanged(topics: readonly string[]): Promise<void> {
    if (this.#membership === undefined || this.isClosed) return;
    const subscribed = this.#parts.subscriptions.topics();
    for (const topic of topics) {
      if (subscribed.includes(topic)) this.#parts.groupStart.join(topic);
      else this.#parts.groupStart.leave(topic);
    }
    this.#parts.assignment.pullAnew(topics);
    await this.#cluster.membership.beat();
    await this.#parts.rebalancer.run();
    await this.#parts.groupStart.joined(this.#cluster.options.requestTimeout);
  }

  #rebalance(): void {
    this.#parts.rebalancer.notice();
  }

  async #routeChanged(topic: string): Promise<void> {
    const { subscriptions, retryTopic } = this.#parts;
    if (subscriptions.selector(topic) === undefined) return;
    this.#rebalance();
    if (retryTopic === undefined || topic === retryTopic) return;
    // A broker that is new makes the group's retry topic with the first heartbeat, and registers it a moment later.
    await delay(RETRY_TOPIC_DELAY, { signal: this.closing }).catch(() => {});
    if (!this.isClosed) await this.#cluster.routes.refresh(retryTopic).catch(() => {});
  }

  #brokerBack(broker: string): number {
    this.#parts.locks?.renew(broker);
    inBackground(this.#parts.assignment.rewrite(broker), (error) => this.#commitFailed(error));
    this.#rebalance();
    return this.#parts.assignment.owned.filter(({ queue }) => queue.broker === broker).length;
  }

  /** One at a time: while a broker is away, a write takes longer than the interval. */
  async #persist(): Promise<void> {
    if (this.#persisting) return;
    this.#persisting = true;
    try {
      await this.#parts.assignment.commit();
    } finally {
      this.#persisting = false;
    }
  }

  #commitFailed(error: unknown): void {
    this.#parts.assignment.commitReports.failed(error);
  }

  #lastCommitFailed(cause: unknown): void {
    const error = new ConsumerShutdownError(
      `Cannot store the last offsets of group "${this.group}": messages since the commit before are redelivered`,
      { code: "LAST_COMMIT_FAILED", cause },
    );
    this.#cluster.options.events.emit("warning", "commitFailed", error.message, { group: this.group, error });
  }
}
