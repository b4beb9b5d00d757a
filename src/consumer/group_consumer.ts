/**
 * A group consumer as a whole: its parts, and its life from joining to leaving the group.
 *
 * @module
 */

import { BrokerClient } from "../cluster/broker_client.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { atMost, delay, waitFor } from "../waiting.ts";
import { ConsumerStartError, ConsumerStateError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { BrokerOffsetStore } from "../offsets/broker.ts";
import { OptionsCheck } from "../options.ts";
import type { ConsumerData } from "../wire/bodies.ts";
import { retryTopic } from "../wire/codes.ts";
import type { BrokenRecord } from "../wire/record.ts";
import { Assignment } from "./assignment.ts";
import type { MessageBatch } from "./batch.ts";
import type { BatchesOptions, Consumer, ConsumerStats, QueueLag, RunOptions, SeekPosition } from "./consumer.ts";
import { Dispatcher } from "./dispatcher.ts";
import { FlowLimits } from "./flow_limits.ts";
import { BatchIterator, batchStream, runHandlers } from "./iteration.ts";
import { checkConsumerOptions, type CheckedConsumerOptions, type ConsumerOptions } from "./options.ts";
import type { Message } from "../message.ts";
import type { OwnedQueue } from "./owned_queue.ts";
import { Puller } from "./puller.ts";
import { Rebalancer } from "./rebalancer.ts";
import { sendRetryCopy } from "./retry_copy.ts";
import { parseSelector, type Selector, subscriptionData } from "./selector.ts";
import { Settlement } from "./settlement.ts";
import { checkSubscription } from "./subscription_check.ts";
import { SubscriptionManager } from "./subscription_manager.ts";
import { Watchdog } from "./watchdog.ts";

const everything = parseSelector("*");
/** How long a new broker may take until name servers know the retry topic that it has made, in milliseconds. */
const RETRY_TOPIC_DELAY = 1_000;

/** Joins a group; resolves when the brokers know this member and its first queues are known. */
export async function joinGroup<T>(cluster: Cluster, options: ConsumerOptions): Promise<GroupConsumer<T>> {
  const checked = checkConsumerOptions(options);
  const consumer = new GroupConsumer<T>(cluster, checked);
  await consumer.start();
  return consumer;
}

/** A member of a group in clustering, with concurrent consumption. */
export class GroupConsumer<T = unknown> implements Consumer<T> {
  readonly group: string;
  readonly subscriptions: SubscriptionManager;
  #cluster: Cluster;
  #options: CheckedConsumerOptions;
  #subVersion = Date.now();
  #brokers: BrokerClient;
  #settlement: Settlement<T>;
  #dispatcher: Dispatcher<T>;
  #assignment: Assignment<T>;
  #rebalancer: Rebalancer;
  #watchdog: Watchdog;
  #persistTimer: ReturnType<typeof setInterval> | undefined;
  #persisting = false;
  #isMember = false;
  #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(cluster: Cluster, options: CheckedConsumerOptions) {
    this.group = options.group;
    this.#cluster = cluster;
    this.#options = options;
    this.#brokers = new BrokerClient(cluster);
    const puller = new Puller<T>(this.#brokers, options);
    this.subscriptions = this.#makeSubscriptions();
    this.#settlement = this.#makeSettlement();
    this.#dispatcher = new Dispatcher<T>(options.batchSize, this.#settlement);
    this.#assignment = this.#makeAssignment(puller);
    this.#rebalancer = this.#makeRebalancer();
    this.#watchdog = new Watchdog({
      group: options.group,
      events: cluster.options.events,
      queues: () => this.#assignment.owned as Iterable<OwnedQueue>,
      idleSince: () => this.#dispatcher.idleSince,
      pullTimeout: puller.timeout,
    });
  }

  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Joins the group; on a failure nothing is left behind. */
  async start(): Promise<void> {
    this.#cluster.attach(this);
    try {
      const topics = [...this.#options.topics];
      await Promise.all(topics.map(([topic, selector]) => this.subscriptions.subscribe(topic, selector)));
      this.#checkOpen("join");
      this.#enter();
      await this.#cluster.membership.beat();
      await this.#rebalancer.start(this.#cluster.options.startTimeout);
      this.#checkOpen("join");
    } catch (error) {
      await this.close({ timeout: 0 });
      throw error;
    }
    this.#persistTimer = setInterval(() => this.#persist(), this.#options.persistInterval);
    this.#watchdog.start();
  }

  /** From here on heartbeats name this member, and the cluster tells it what happens. */
  #enter(): void {
    const { membership } = this.#cluster;
    if (membership.hasConsumer(this.group)) {
      throw new ConsumerStartError(
        `Cannot join group "${this.group}": this client is a member already; brokers tell members apart by client, ` +
          `so connect() once more for a second one`,
        { code: "GROUP_IN_USE" },
      );
    }
    this.#isMember = true;
    this.#rebalancer.expect(retryTopic(this.group));
    membership.addConsumer(this.group, () => this.#describe());
    this.#cluster.listen(this.group, {
      onMembersChanged: () => this.#rebalance(),
      onReset: (offsets) => this.#reset(offsets),
      positions: (topic) => this.#assignment.positions(topic),
      onRouteChanged: (route) => this.#routeChanged(route.topic),
      onBrokerBack: (broker) => this.#brokerBack(broker),
    });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<MessageBatch<T>, undefined> {
    return this.batches();
  }

  batches(options: BatchesOptions = {}): AsyncIterableIterator<MessageBatch<T>, undefined> {
    return new BatchIterator(this.#dispatcher, this.#options.autoAck, options);
  }

  async run(handler: (batch: MessageBatch<T>) => unknown, options: RunOptions = {}): Promise<void> {
    await runHandlers(this.#dispatcher, handler, checkRunOptions(options), this.#handlerFailed);
  }

  async runEach(handler: (message: Message<T>) => unknown, options: RunOptions = {}): Promise<void> {
    const single = { ...checkRunOptions(options), max: 1 };
    await runHandlers(this.#dispatcher, (batch) => handler(batch.messages[0]!), single, this.#handlerFailed);
  }

  readable(options: BatchesOptions = {}): ReadableStream<MessageBatch<T>> {
    return batchStream(this.#dispatcher, options);
  }

  assignment(): readonly MessageQueue[] {
    return this.#assignment.owned.map((owned) => owned.queue);
  }

  pause(queues?: readonly MessageQueue[]): void {
    this.#assignment.pause(true, queues);
  }

  resume(queues?: readonly MessageQueue[]): void {
    this.#checkOpen("resume");
    this.#assignment.pause(false, queues);
  }

  async seek(queue: MessageQueue, position: SeekPosition): Promise<void> {
    this.#checkOpen("seek");
    this.#assignment.get(queue);
    const offset = await this.#resolve(queue, position);
    await this.#assignment.seek(queue, offset, `the queue's position was set to ${offset}`);
  }

  commit(): Promise<void> {
    return this.#assignment.commit();
  }

  async lag(): Promise<readonly QueueLag[]> {
    const open = this.#assignment.owned.filter((owned) => owned.counts);
    return await Promise.all(open.map(async ({ queue, process }) => {
      const maxOffset = await this.#brokers.maxOffset(queue);
      const { committable } = process;
      return { queue, maxOffset, committable, lag: Math.max(0, maxOffset - committable) };
    }));
  }

  stats(): ConsumerStats {
    const totals = { buffered: 0, bufferedBytes: 0, inHand: 0 };
    for (const { counts, process } of this.#assignment.owned) {
      if (!counts) continue;
      totals.buffered += process.count;
      totals.bufferedBytes += process.bytes;
      totals.inHand += process.inHandCount;
    }
    const { settledTotal: settled, retriedTotal: retried } = this.#settlement;
    return { queues: this.#assignment.owned.length, ...totals, settled, retried };
  }

  async drain(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#checkOpen("drain");
    this.pause();
    await waitFor(this.#whenIdle(), options);
    await this.commit();
  }

  close(options: { timeout?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(options.timeout ?? this.#options.closeTimeout);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeout: number): Promise<void> {
    this.#closing.abort();
    this.#dispatcher.close();
    clearInterval(this.#persistTimer);
    this.#watchdog.stop();
    if (this.#isMember) this.#cluster.unlisten(this.group);
    const rebalanced = this.#rebalancer.stop();
    this.#assignment.stop();
    await atMost(this.#whenIdle(), timeout);
    await rebalanced;
    await this.#assignment.end("the consumer was closed").catch((error) => this.#commitFailed(error));
    this.#settlement.close();
    if (this.#isMember) await this.#cluster.membership.removeConsumer(this.group);
    this.#cluster.detach(this);
  }

  async #whenIdle(): Promise<void> {
    await Promise.all(this.#assignment.owned.map((owned) => owned.whenIdle()));
  }

  /** The topics that are in force, the retry topic included: brokers make it when they hear of the group. */
  #topics(): string[] {
    const active = this.subscriptions.getAll().filter((subscription) => subscription.active);
    return [...active.map(({ topic }) => topic), retryTopic(this.group)];
  }

  #selector(topic: string): Selector | undefined {
    if (topic === retryTopic(this.group)) return everything;
    const subscription = this.subscriptions.get(topic);
    return subscription?.active ? subscription.selector : undefined;
  }

  #awaitTopic(topic: string): void {
    this.#rebalancer.expect(topic);
    const text = `no name server knows topic "${topic}", waiting for it`;
    this.#cluster.options.events.emit("warning", "missingTopic", text, { group: this.group, topic });
  }

  async #subscriptionsChanged(topics: readonly string[]): Promise<void> {
    if (!this.#isMember || this.#closed !== undefined) return;
    this.#subVersion = Math.max(Date.now(), this.#subVersion + 1);
    this.#assignment.pullAnew(topics);
    await this.#cluster.membership.beat();
    await this.#rebalancer.run();
  }

  #describe(): ConsumerData {
    const { consumeFrom } = this.#options;
    return {
      groupName: this.group,
      consumeType: "CONSUME_PASSIVELY",
      messageModel: "CLUSTERING",
      consumeFromWhere: `CONSUME_FROM_${
        consumeFrom instanceof Date ? "TIMESTAMP" : `${consumeFrom.toUpperCase()}_OFFSET`
      }`,
      subscriptionDataSet: this.#topics().map((topic) =>
        subscriptionData(topic, this.#selector(topic)!, this.#subVersion)
      ),
      unitMode: false,
    };
  }

  #rebalance(): void {
    this.#rebalancer.run();
  }

  #reset(offsets: readonly (readonly [MessageQueue, number])[]): void {
    for (const [queue, offset] of offsets) {
      this.#assignment.reset(queue, offset).catch((error) => this.#commitFailed(error));
    }
  }

  async #routeChanged(topic: string): Promise<void> {
    if (this.#selector(topic) === undefined) return;
    this.#rebalance();
    if (topic === retryTopic(this.group)) return;
    // A broker that is new makes the group's retry topic when it hears of the group, and registers it a moment later.
    await delay(RETRY_TOPIC_DELAY, { signal: this.closing }).catch(() => {});
    if (this.#closed === undefined) await this.#cluster.routes.refresh(retryTopic(this.group)).catch(() => {});
  }

  #brokerBack(broker: string): void {
    this.#assignment.rewrite(broker).catch((error) => this.#commitFailed(error));
    this.#rebalance();
  }

  /** One at a time: while a broker is away, a write takes longer than the interval. */
  async #persist(): Promise<void> {
    if (this.#persisting) return;
    this.#persisting = true;
    await this.#assignment.commit().catch((error) => this.#commitFailed(error));
    this.#persisting = false;
  }

  #commitFailed(error: unknown): void {
    const text = `cannot store offsets of group "${this.group}", trying again with the next ones`;
    this.#cluster.options.events.emit("warning", "commitFailed", text, { group: this.group, error });
  }

  #handlerFailed = (batch: MessageBatch<T>, error: unknown): void => {
    const text = `a handler of topic "${batch.topic}" failed, its messages are sent back for later`;
    const about = { group: this.group, topic: batch.topic, queue: batch.queue, offset: batch.messages[0]!.queueOffset };
    this.#cluster.options.events.emit("warning", "handlerFailed", text, { ...about, error });
  };

  /** A record that cannot be read goes to the dead letter queue, which copies it as it is stored. */
  async #secureBroken(owned: OwnedQueue<T>, record: BrokenRecord): Promise<void> {
    const text = `a record of topic "${owned.queue.topic}" cannot be read, it goes to the dead letter queue`;
    const about = { group: this.group, queue: owned.queue, error: record.error };
    this.#cluster.options.events.emit("error", "broken", text, about);
    await this.#settlement.buryBroken(owned, record);
  }

  async #resolve(queue: MessageQueue, position: SeekPosition): Promise<number> {
    if (position === "earliest") return await this.#brokers.minOffset(queue);
    if (position === "latest") return await this.#brokers.maxOffset(queue);
    if (position instanceof Date) return await this.#brokers.offsetAt(queue, position.getTime());
    const check = new OptionsCheck("seek");
    check.integer("position", position, 0, 0, Number.MAX_SAFE_INTEGER, `or "earliest", "latest", a Date`);
    check.done();
    return position;
  }

  #makeSubscriptions(): SubscriptionManager {
    const context = {
      cluster: this.#cluster,
      group: this.group,
      brokers: this.#brokers,
      waits: this.#options.missingTopic === "wait",
      onMissing: (topic: string) => this.#awaitTopic(topic),
    };
    return new SubscriptionManager({
      maxSubscriptions: this.#options.maxSubscriptions,
      check: (topic, selector) => checkSubscription(context, topic, selector),
      onChanged: (topics) => this.#subscriptionsChanged(topics),
    });
  }

  #makeSettlement(): Settlement<T> {
    return new Settlement<T>({
      options: this.#options,
      events: this.#cluster.options.events,
      offer: (owned) => this.#dispatcher.offer(owned),
      sendBack: (message, how) => this.#brokers.sendBack(message, how),
      sendCopy: (message, how) => sendRetryCopy(this.#cluster, message, how),
    });
  }

  #makeAssignment(puller: Puller<T>): Assignment<T> {
    return new Assignment<T>({
      options: this.#options,
      events: this.#cluster.options.events,
      brokers: this.#brokers,
      puller,
      offsets: new BrokerOffsetStore({
        brokers: this.#brokers,
        group: this.group,
        introduce: () => this.#cluster.membership.beat(),
      }),
      limits: new FlowLimits(this.#options),
      offer: (owned) => this.#dispatcher.offer(owned),
      selector: (topic) => this.#selector(topic),
      onBroken: (owned, record) => this.#secureBroken(owned, record),
    });
  }

  #makeRebalancer(): Rebalancer {
    const { group } = this;
    return new Rebalancer({
      cluster: this.#cluster,
      brokers: this.#brokers,
      group,
      allocation: this.#options.allocation,
      interval: this.#options.rebalanceInterval,
      topics: () => this.#topics(),
      owned: () => this.assignment(),
      change: (gained, lost, reason) => this.#assignment.change(gained, lost, reason),
      onUnknown: (topic, reason, error) => {
        const text = `let the queues of topic "${topic}" go: ${reason}`;
        this.#cluster.options.events.emit("warning", "stalled", text, { group, topic, error });
      },
    });
  }

  #checkOpen(action: string): void {
    if (this.#closed === undefined) return;
    throw new ConsumerStateError(`Cannot ${action}: the consumer of group "${this.group}" is closed`, {
      code: "CONSUMER_CLOSED",
    });
  }
}

function checkRunOptions(options: RunOptions): RunOptions {
  const check = new OptionsCheck("run handlers");
  check.known(options, ["concurrency", "signal", "topic"]);
  const concurrency = check.integer("concurrency", options.concurrency, 20, 1, 1_000);
  check.done();
  return { ...options, concurrency };
}
