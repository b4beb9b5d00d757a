/**
 * A POP consumer as a whole: its parts, and its life.
 *
 * @module
 */

import { BrokerClient, type SendBackOptions, type SendBackSource } from "../../brokers/broker_client.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { PopClient, type PopPlace } from "../../brokers/pop_client.ts";
import { ConsumerStateError, TimeoutError, UnsupportedError } from "../../errors.ts";
import type { Message } from "../../message.ts";
import { ConsumerStatistics } from "../../telemetry/consumer_statistics.ts";
import { Tracer } from "../../telemetry/tracer.ts";
import { atMost, waitFor } from "../../waiting.ts";
import { VERSION_5_0_0 } from "../../wire/codes.ts";
import { BufferBudget } from "../queue/buffer_budget.ts";
import type { BatchesOptions, RunOptions } from "../delivery/loop_options.ts";
import { Dispatcher } from "../delivery/dispatcher.ts";
import { GroupSubscriptions } from "../group/subscriptions.ts";
import { BatchIterator, batchStream, checkRunOptions, runHandlers } from "../delivery/iteration.ts";
import { enterGroup, type GroupMembership } from "../joining.ts";
import { Observer } from "../delivery/observer.ts";
import type { SubscriptionManager } from "../subscriptions/subscription_manager.ts";
import type { PopBatch, PoppedBatch } from "./batch.ts";
import { popCommands } from "./commands.ts";
import type { PopConsumer, PopConsumerStats, PopOptions } from "./consumer.ts";
import type { Delivery } from "./delivery.ts";
import { type CheckedPopOptions, checkPopOptions, type PopConsumerOptions } from "./options.ts";
import { PopPlaces } from "./places.ts";
import { checkPopCall, popOnce } from "./pop_call.ts";
import { PopRoom } from "./pop_room.ts";
import { PopReceiver } from "./receiver.ts";
import { PopRescue } from "./rescue.ts";
import { PopReturns } from "./returns.ts";
import { PopSettlement } from "./settlement.ts";
import type { PopSource } from "./source.ts";
import { PopSources } from "./sources.ts";
import { inAnyCase } from "../../owned_work.ts";

/** How long `close()` goes on after its timeout to leave the group, in milliseconds. */
const LAST_WORDS = 800;

/** Joins a group that pops; resolves when the brokers know this member. */
export async function joinPopGroup<T>(cluster: Cluster, options: PopConsumerOptions): Promise<GroupPopConsumer<T>> {
  const consumer = new GroupPopConsumer<T>(cluster, checkPopOptions(options));
  await consumer.start();
  return consumer;
}

/** A member of a group that pops. */
export class GroupPopConsumer<T = unknown> implements PopConsumer<T> {
  readonly group: string;
  #cluster: Cluster;
  #options: CheckedPopOptions;
  #subscriptions: GroupSubscriptions;
  #observer: Observer<T>;
  #budget: BufferBudget;
  #room: PopRoom;
  #settlement: PopSettlement<T>;
  #returns: PopReturns;
  #rescue: PopRescue;
  #receiver: PopReceiver<T>;
  #dispatcher: Dispatcher<PopSource<T>, PoppedBatch<T>>;
  #sources: PopSources<T>;
  #places: PopPlaces;
  #isLooping = false;
  #isPaused = false;
  #membership: GroupMembership | undefined;
  #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(cluster: Cluster, options: CheckedPopOptions) {
    this.group = options.group;
    this.#cluster = cluster;
    this.#options = options;
    const client = new PopClient(cluster, options.group);
    const brokers = new BrokerClient(cluster, options.group);
    const sendBack = (source: SendBackSource, how: SendBackOptions) => brokers.sendBack(source, how);
    this.#subscriptions = this.#makeSubscriptions(brokers);
    this.#observer = new Observer<T>(new ConsumerStatistics(), this.#makeTracer());
    this.#settlement = new PopSettlement<T>({
      options,
      events: this.#events,
      client,
      sendBack,
      observer: this.#observer,
    });
    const { group } = options;
    this.#returns = new PopReturns({ group, events: this.#events, client });
    this.#rescue = new PopRescue({ group, events: this.#events, client, sendBack });
    this.#receiver = new PopReceiver<T>({
      options,
      client,
      onBroken: (place, broken) => this.#rescue.add(place, broken),
      statistics: this.#observer.statistics,
      selector: (topic) => this.#subscriptions.selector(topic),
    });
    const { batchSize, maxBufferedMessages } = options;
    const messages = Math.max(maxBufferedMessages, batchSize);
    this.#budget = new BufferBudget({ messages, bytes: Infinity, batch: batchSize, batchBytes: Infinity });
    this.#room = new PopRoom(this.#budget);
    this.#dispatcher = new Dispatcher(options.batchSize, (source, max, topic) => this.#cut(source, max, topic));
    this.#sources = new PopSources<T>({
      options,
      receiver: this.#receiver,
      events: this.#events,
      budget: this.#budget,
      mayPop: () => this.#isLooping && !this.#isPaused,
      giveBack: (broker, deliveries) => this.#returns.add(broker, deliveries),
      onMessages: (source, receivedAt) => this.#dispatcher.arrived(source, receivedAt),
    });
    this.#places = this.#makePlaces(client);
  }

  get subscriptions(): SubscriptionManager {
    return this.#subscriptions.manager;
  }

  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Joins the group; on a failure nothing is left behind. Brokers that do not answer are not waited for longer than
   * `startTimeout` in all, and are asked again later.
   */
  async start(): Promise<void> {
    const { startTimeout, requestTimeout } = this.#cluster.options;
    const timeout = startTimeout === 0 ? requestTimeout : startTimeout;
    const end = performance.now() + timeout;
    const left = () => Math.max(0, end - performance.now());
    this.#cluster.attach(this);
    try {
      const late = () => new TimeoutError(`join group "${this.group}"`, timeout);
      await waitFor(this.#subscriptions.start(), { ms: timeout, late });
      this.#checkOpen("join");
      this.#enter();
      await atMost(this.#cluster.membership.beat(), left() / 2);
      this.#checkVersion();
      await atMost(this.#places.refresh(), left());
      this.#checkOpen("join");
    } catch (error) {
      await this.close({ timeout: 0 });
      throw error;
    }
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<PopBatch<T>, undefined> {
    return this.batches();
  }

  batches(options: BatchesOptions = {}): AsyncIterableIterator<PopBatch<T>, undefined> {
    return new BatchIterator(this.#loops(), this.#options.autoAck, options);
  }

  async run(handler: (batch: PopBatch<T>) => unknown, options: RunOptions = {}): Promise<void> {
    await runHandlers(this.#loops(), handler, checkRunOptions(options));
  }

  async runEach(handler: (message: Message<T>) => unknown, options: RunOptions = {}): Promise<void> {
    const single = { ...checkRunOptions(options), max: 1 };
    await runHandlers(this.#loops(), (batch) => handler(batch.messages[0]!), single);
  }

  readable(options: BatchesOptions = {}): ReadableStream<PopBatch<T>> {
    return batchStream(this.#loops(), options);
  }

  async pop(options: PopOptions = {}): Promise<PopBatch<T>> {
    this.#checkOpen("pop");
    const call = checkPopCall(options, this.#options.batchSize);
    const giveBack = (place: PopPlace, late: readonly Delivery<T>[]) => this.#returns.add(place.broker, late);
    const places = this.#places.places(call.topic);
    const context = { receiver: this.#receiver, room: this.#room, places, closing: this.closing, giveBack };
    const popped = await popOnce(context, call).catch((error) => {
      this.#checkOpen("pop");
      throw error;
    });
    if (this.#closed !== undefined && popped !== undefined) {
      this.#room.settled(popped.deliveries.length);
      giveBack(popped.place, popped.deliveries);
    }
    this.#checkOpen("pop");
    const topic = popped?.place.topic ?? call.topic ?? this.#subscriptions.topics()[0] ?? "";
    const { deliveries = [], receivedAt = performance.now() } = popped ?? {};
    return this.#settlement.deliver(topic, deliveries, receivedAt + this.#options.invisibleTime, this.#room);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#checkOpen("resume");
    this.#isPaused = false;
    this.#sources.wake();
    for (const source of this.#sources) this.#dispatcher.offer(source); // what has come meanwhile
  }

  stats(): PopConsumerStats {
    const { inFlightCount: inFlight, settledTotal: settled, retriedTotal: retried } = this.#settlement;
    return { ready: this.#sources.count, inFlight, settled, retried };
  }

  close(options: { timeout?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(options.timeout ?? this.#options.closeTimeout);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeout: number): Promise<void> {
    const end = performance.now() + timeout;
    const { group } = this;
    const failed = this.#events.failureOf("stalled", `group "${group}": a step of closing`, { group });
    const stopped = inAnyCase([() => this.#places.stop()], failed);
    const parts = [this.#settlement, this.#returns, this.#rescue];
    const last = () =>
      Promise.all([
        stopped,
        inAnyCase([() => this.#observer.close()], failed),
        inAnyCase([() => this.#membership?.leave()], failed),
      ]);
    await inAnyCase([
      () => this.#closing.abort(),
      () => this.#dispatcher.close(),
      () => this.#sources.stop(),
      () => this.#membership?.unlisten(),
      () => this.#subscriptions.stop(),
      () => atMost(Promise.all(parts.map((part) => part.whenIdle())), timeout),
      () => this.#returns.giveUp(),
      () => this.#settlement.close("the consumer was closed"),
      () => atMost(last(), Math.max(LAST_WORDS, end - performance.now())),
    ], failed);
    this.#cluster.detach(this);
  }

  #enter(): void {
    const listener = {
      ...popCommands<T>({
        options: this.#options,
        nameServers: this.#cluster.options.nameServers,
        subscriptions: this.#subscriptions,
        statistics: this.#observer.statistics,
        sources: () => [...this.#sources],
        dispatcher: this.#dispatcher,
        onMembersChanged: () => this.#places.notice(),
      }),
      onRouteChanged: () => this.#places.notice(),
      onBrokerBack: () => this.#places.notice(),
    };
    this.#membership = enterGroup(this.#cluster, this.group, () => this.#subscriptions.describe(), listener);
  }

  /** POP came with 5.0. Brokers that have not answered a heartbeat yet are found out by the first pop. */
  #checkVersion(): void {
    for (const [name, replicas] of this.#cluster.routes.brokers()) {
      const version = this.#cluster.membership.version(replicas.get(0) ?? "");
      if (version === undefined || version >= VERSION_5_0_0) continue;
      throw new UnsupportedError(
        `Cannot join group "${this.group}" by POP: broker "${name}" is older than 5.0; consume by mq.consumer()`,
      );
    }
  }

  /** Where loops ask: from the first of them on brokers are asked ahead. */
  #loops(): Dispatcher<PopSource<T>, PoppedBatch<T>> {
    if (!this.#isLooping) {
      this.#isLooping = true;
      this.#sources.wake();
    }
    return this.#dispatcher;
  }

  #cut(source: PopSource<T>, max: number, topic: string | undefined): PoppedBatch<T> | undefined {
    if (this.#isPaused || (topic !== undefined && topic !== source.place.topic)) return undefined;
    const taken = source.take(max);
    return taken === undefined
      ? undefined
      : this.#settlement.deliver(source.place.topic, taken.deliveries, taken.deadline, source);
  }

  #makeSubscriptions(brokers: BrokerClient): GroupSubscriptions {
    const { group } = this.#options;
    return new GroupSubscriptions({
      cluster: this.#cluster,
      brokers,
      options: this.#options,
      consumeType: "CONSUME_POP",
      retryTopic: undefined, // brokers bring what comes back with the topic itself
      onMissing: (topic) => {
        const text = `no name server knows topic "${topic}", waiting for it`;
        this.#events.emit("warning", "missingTopic", text, { group, topic });
      },
      onChanged: async () => {
        if (this.#membership === undefined || this.#closed !== undefined) return;
        await this.#cluster.membership.beat();
        await this.#places.refresh();
      },
    });
  }

  #makeTracer(): Tracer | undefined {
    const { group, trace: topic } = this.#options;
    return topic === undefined ? undefined : new Tracer({ cluster: this.#cluster, group, topic, events: this.#events });
  }

  #makePlaces(client: PopClient): PopPlaces {
    return new PopPlaces({
      group: this.group,
      routes: this.#cluster.routes,
      client,
      events: this.#events,
      topics: () => this.#subscriptions.topics(),
      interval: this.#options.rebalanceInterval,
      onPlaces: (places) => this.#sources.setPlaces(places),
    });
  }

  get #events() {
    return this.#cluster.options.events;
  }

  #checkOpen(action: string): void {
    if (this.#closed === undefined) return;
    throw new ConsumerStateError(`Cannot ${action}: the POP consumer of group "${this.group}" is closed`, {
      code: "CONSUMER_CLOSED",
    });
  }
}
