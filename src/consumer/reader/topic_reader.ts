/**
 * A reader as a whole: the parts of a consumer, without a group.
 *
 * @module
 */

import { delay } from "../../waiting.ts";
import { BrokerClient } from "../../brokers/broker_client.ts";
import type { Cluster, ClusterWatcher } from "../../cluster/cluster.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import { BrokerOffsetStore } from "../../offsets/broker.ts";
import { MemoryOffsetStore } from "../../offsets/memory.ts";
import type { BrokenRecord } from "../../wire/record.ts";
import { Assignment } from "../assignment/assignment.ts";
import type { Batch } from "../delivery/batch.ts";
import { ConcurrentSettlement } from "../delivery/concurrent_settlement.ts";
import type { QueueLag, SeekPosition } from "../consumer.ts";
import { Dispatcher } from "../delivery/dispatcher.ts";
import { Skip } from "../delivery/redelivery.ts";
import { FlowLimits } from "../queue/flow_limits.ts";
import { GroupStart } from "../assignment/group_start.ts";
import type { BatchSource } from "../delivery/iteration.ts";
import { Looping } from "../delivery/looping.ts";
import { QueueDelivery } from "../delivery/queue_delivery.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";
import { lagOf, resolvePosition } from "../positions.ts";
import { Puller } from "../queue/puller.ts";
import { checkSubscription } from "../subscriptions/subscription_check.ts";
import { closedFindings, type Findings } from "../diagnosis/finding.ts";
import type { ConsumerHealth } from "../../health.ts";
import { ReaderDiagnosis } from "../diagnosis/reader.ts";
import { type CheckedReaderOptions, checkReaderOptions, type ReaderOptions } from "./options.ts";
import type { Reader } from "./reader.ts";
import { inAnyCase, inBackground } from "../../owned_work.ts";
import type { ConsumerObserver } from "../../telemetry/consumer_observer.ts";
import { userObservers } from "../delivery/observers.ts";

/** How long after a look for a topic that does not exist the next one is, at first and at last, in milliseconds. */
const [FIRST_LOOK, LAST_LOOK] = [500, 8_000];

/** A reader may take its time with a batch, in milliseconds: the longest that a timer can wait. */
const LONGEST = 0x7fffffff;

/** Opens a reader; resolves when its queues are known. */
export async function openReader<T>(
  cluster: Cluster,
  options: ReaderOptions,
  observers: readonly ConsumerObserver[] = [],
): Promise<TopicReader<T>> {
  const reader = new TopicReader<T>(cluster, checkReaderOptions(options), observers);
  await reader.start();
  return reader;
}

/** Reads queues of one topic. */
export class TopicReader<T = unknown> extends Looping<T, Batch<T>> implements Reader<T> {
  readonly topic: string;
  #cluster: Cluster;
  #options: CheckedReaderOptions;
  #brokers: BrokerClient;
  #committed: BrokerOffsetStore;
  #settlement: ConcurrentSettlement<T>;
  #dispatcher: Dispatcher<OwnedQueue<T>, Batch<T>>;
  #offsets = new MemoryOffsetStore(); // commit() alone stores anything
  #assignment: Assignment<T>;
  #diagnosis: ReaderDiagnosis;
  /** The queues that were there when the reader was opened: others showed up later. */
  #first = new Set<string>();
  /** The moment at which it was opened, which `"latest"` means. */
  #start: GroupStart;
  /** End what it watches and holds of the cluster. */
  #releases: (() => void)[] = [];

  constructor(cluster: Cluster, options: CheckedReaderOptions, observers: readonly ConsumerObserver[]) {
    super({ what: `reader of topic "${options.topic}"`, autoAck: options.consumer.autoAck, closeTimeout: 0 });
    const { topic, consumer } = options;
    const { events } = cluster.options;
    this.topic = topic;
    this.#cluster = cluster;
    this.#options = options;
    this.#releases.push(cluster.routes.hold([topic]));
    this.#brokers = new BrokerClient(cluster, options.consumer.group);
    // The pulls make the group known: it need not be registered.
    const store = { brokers: this.#brokers, group: consumer.group, register: () => Promise.resolve() };
    this.#committed = new BrokerOffsetStore(store);
    const observer = userObservers<T>(observers, { consumer: "reader", group: consumer.group, events });
    this.#settlement = new ConcurrentSettlement<T>({
      ...(observer && { observer }),
      options: { ...consumer, consumeTimeout: LONGEST },
      events,
      redelivery: new Skip<T>(consumer.group, events),
      sink: { offer: (owned) => this.#dispatcher.offer(owned) },
    });
    const delivery = new QueueDelivery<T>(this.#settlement, LONGEST);
    this.#dispatcher = new Dispatcher(
      consumer.batchSize,
      (owned, max, asked) => delivery.deliver(owned, max, asked),
    );
    const puller = new Puller<T>(this.#brokers, consumer);
    this.#start = new GroupStart({
      consumeFrom: options.from === "latest" ? "last" : "first",
      brokers: this.#brokers,
      queues: () => options.queues ?? cluster.routes.known(topic)?.readQueues ?? [],
      hasOffset: () => Promise.resolve(false),
    });
    this.#assignment = this.#makeAssignment(puller);
    this.#diagnosis = new ReaderDiagnosis({
      topic,
      group: consumer.group,
      events,
      brokers: this.#brokers,
      parts: { assignment: this.#assignment, dispatcher: this.#dispatcher, settlement: this.#settlement },
      selector: consumer.topics.get(topic),
      owned: () => this.#assignment.owned as readonly OwnedQueue[],
      acksExplicitly: () => this.acksExplicitly,
    });
  }

  get queues(): readonly MessageQueue[] {
    return this.#assignment.owned.map(({ queue }) => queue);
  }

  /** Finds the queues; on a failure nothing is left behind. */
  async start(): Promise<void> {
    this.#cluster.users.attach(this);
    try {
      await this.#offsets.open();
      const { topic, consumer: { group, topics, missingTopic } } = this.#options;
      const context = {
        cluster: this.#cluster,
        brokers: this.#brokers,
        group,
        what: "reader",
        waits: missingTopic === "wait",
        onMissing: () => this.#topicMissing(),
      };
      await checkSubscription(context, topic, topics.get(topic)!);
      const watcher: ClusterWatcher = {
        onRouteChanged: (route) => {
          if (route.topic !== topic) return;
          const { events } = this.#cluster.options;
          inBackground(this.#follow(), events.failureOf("stalled", "following a changed route", { group, topic }));
        },
        onBrokerRecovered: (broker) => this.queues.filter((queue) => queue.broker === broker).length,
      };
      this.#releases.push(this.#cluster.watch(watcher));
      await this.#follow();
      await this.#start.joined(this.#cluster.options.requestTimeout);
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#diagnosis.watchdog.start();
    this.#diagnosis.standstills.start();
  }

  /** A topic that does not exist is looked for again and again, ever more rarely. */
  #topicMissing(): void {
    const { topic } = this;
    const { events } = this.#cluster.options;
    events.emit("warning", "missingTopic", `no name server knows topic "${topic}", the reader waits for it`, { topic });
    inBackground(this.#waitForTopic(), events.failureOf("stalled", "waiting for a topic", { topic }));
  }

  async #waitForTopic(): Promise<void> {
    const { closing: signal } = this;
    for (let pause = FIRST_LOOK; !signal.aborted; pause = Math.min(pause * 2, LAST_LOOK)) {
      await delay(pause, { signal }).catch(() => {});
      if (signal.aborted || await this.#cluster.routes.refresh(this.topic).catch(() => undefined) === undefined) {
        continue;
      }
      return await this.#follow();
    }
  }

  protected source(): BatchSource<Batch<T>> {
    return this.#dispatcher;
  }

  async seek(position: SeekPosition, queue?: MessageQueue): Promise<void> {
    this.checkOpen("seek");
    const queues = queue === undefined ? this.queues : [this.#assignment.get(queue).queue];
    await Promise.all(queues.map(async (each) => {
      const offset = await resolvePosition(this.#brokers, each, position);
      await this.#assignment.seek(each, offset, `the queue's position was set to ${offset}`);
    }));
  }

  pause(queues?: readonly MessageQueue[]): void {
    this.#assignment.pause(true, queues);
  }

  resume(queues?: readonly MessageQueue[]): void {
    this.checkOpen("resume");
    this.#assignment.pause(false, queues);
  }

  lag(): Promise<readonly QueueLag[]> {
    const startOf = (queue: MessageQueue) => this.#startOffset(queue);
    const { requestTimeout: timeout } = this.#cluster.options;
    return lagOf({ brokers: this.#brokers, startOf, timeout }, this.#assignment.owned);
  }

  async explain(): Promise<Findings> {
    if (this.isClosed) return closedFindings(`the reader of topic "${this.topic}"`);
    return await this.#diagnosis.explain(() => this.lag());
  }

  /** Whether it works, without a request. */
  health(): ConsumerHealth {
    return this.#diagnosis.health();
  }

  async commit(): Promise<void> {
    const open = this.#assignment.owned.filter(({ counts }) => counts);
    for (const { queue, process } of open) this.#committed.reset(queue, process.committable);
    await this.#committed.persist(open.map(({ queue }) => queue));
  }

  protected async end(): Promise<void> {
    const { topic } = this;
    const { events } = this.#cluster.options;
    await inAnyCase([
      () => this.abortWaits(),
      ...this.#releases,
      () => this.#assignment.stop(),
      () => this.#dispatcher.close(),
      () => this.#diagnosis.watchdog.stop(),
      () => this.#diagnosis.standstills.stop(),
      () => this.#assignment.end("the reader was closed"),
      () => this.#settlement.close(),
      () => this.#offsets.close(),
    ], events.failureOf("stalled", `a step of closing a reader of topic "${topic}"`, { topic }));
    this.#cluster.users.detach(this);
  }

  /** Takes in the queues that the route has now, or those that were chosen. */
  async #follow(): Promise<void> {
    const { topic, queues: chosen } = this.#options;
    const route = await this.#cluster.routes.get(topic);
    if (this.isClosed) return;
    const wanted = chosen ?? route?.readQueues ?? [];
    if (this.#first.size === 0) this.#first = new Set(wanted.map(queueKey));
    this.#start.join(topic);
    const held = new Set(this.queues.map(queueKey));
    const keys = new Set(wanted.map(queueKey));
    const gained = wanted.filter((queue) => !held.has(queueKey(queue)));
    const lost = this.queues.filter((queue) => !keys.has(queueKey(queue)));
    if (gained.length + lost.length === 0) return;
    for (const queue of gained) this.#start.gained(queue);
    const gains = gained.map((queue) => ({ queue, shared: false }));
    await this.#assignment.change(gains, lost, "the queue is in the topic's route no more");
  }

  #makeAssignment(puller: Puller<T>): Assignment<T> {
    const { topic, consumer } = this.#options;
    return new Assignment<T>({
      options: consumer,
      events: this.#cluster.options.events,
      brokers: this.#brokers,
      puller,
      offsets: this.#offsets,
      autoCommit: false,
      startOffset: (queue) => this.#startOffset(queue),
      limits: new FlowLimits(consumer),
      sink: this.#dispatcher,
      subscriptions: { selector: () => consumer.topics.get(topic) },
      broken: { add: (owned, record) => this.#broken(owned, record) },
    });
  }

  /** A number is a place in the queues that were there: one that shows up later is read from its beginning. */
  async #startOffset(queue: MessageQueue): Promise<number> {
    const { from } = this.#options;
    if (from === "latest") return await this.#start.offsetOf(queue, false);
    const isLater = !this.#first.has(queueKey(queue));
    if (isLater && typeof from === "number") return await this.#brokers.minOffset(queue);
    if (from !== "committed") return await resolvePosition(this.#brokers, queue, from);
    return await this.#committed.read(queue, "store") ?? await this.#brokers.minOffset(queue);
  }

  #broken({ queue }: OwnedQueue<T>, { error }: BrokenRecord): void {
    const { group } = this.#options.consumer;
    const text = `a record of topic "${queue.topic}" cannot be read, it is skipped`;
    this.#cluster.options.events.emit("error", "broken", text, { group, queue, broker: queue.broker, error });
  }
}
