/**
 * Putting the parts of a group consumer together: where orderly, by-key and broadcasting consumption differ.
 *
 * @module
 */

import { BrokerClient } from "../brokers/broker_client.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { MessageQueue } from "../message.ts";
import { BrokerOffsetStore } from "../offsets/broker.ts";
import { OffsetTable } from "../offsets/offset_table.ts";
import type { OffsetStore } from "../offsets/store.ts";
import type { ConsumerObserver } from "../telemetry/consumer_observer.ts";
import { ConsumerStatistics } from "../telemetry/consumer_statistics.ts";
import { Tracer } from "../telemetry/tracer.ts";
import { retryTopic } from "../wire/names.ts";
import { Assignment } from "./assignment/assignment.ts";
import type { QueueBatch } from "./delivery/batch.ts";
import { ConcurrentSettlement } from "./delivery/concurrent_settlement.ts";
import { type Redelivery, SendBack, Skip } from "./delivery/redelivery.ts";
import { Dispatcher } from "./delivery/dispatcher.ts";
import { FlowLimits } from "./queue/flow_limits.ts";
import { GroupStart } from "./assignment/group_start.ts";
import { GroupSubscriptions } from "./group/subscriptions.ts";
import { GroupWatch } from "./group/watch.ts";
import type { CheckedConsumerOptions } from "./options_check.ts";
import { AllObservers, StatisticsObserver, TraceObserver, userObservers } from "./delivery/observers.ts";
import { OrderedSettlement } from "./delivery/ordered_settlement.ts";
import { QueueDelivery } from "./delivery/queue_delivery.ts";
import type { OwnedQueue } from "./queue/owned_queue.ts";
import { orderingKeyOf } from "./ordering_key.ts";
import type { QueueSink } from "./queue/queue_flow.ts";
import { ConsumerSignals } from "./signals.ts";
import { Puller } from "./queue/puller.ts";
import { QueueLocks } from "./assignment/queue_locks.ts";
import { Rebalancer } from "./assignment/rebalancer.ts";
import { Rescue } from "./delivery/rescue.ts";
import { RetryCopies } from "./delivery/retry_copy.ts";
import { retryReader } from "./delivery/retry_reader.ts";
import type { Settlement } from "./delivery/settlement.ts";
import { Watchdog } from "./queue/watchdog.ts";

/** How many brokers are asked who is in the group while no queue is assigned: all of them know each member. */
const MOST_LOOKED_AT = 4;

/** What the parts report to the consumer that they belong to. */
export interface PartsOwner {
  /** The observers of users. */
  readonly observers: readonly ConsumerObserver[];
  /** The topics whose subscription has changed; what it returns is waited for. */
  readonly onSubscriptionsChanged: (topics: readonly string[]) => unknown;
}

/** The parts of one consumer, each built of those before it. */
export class ConsumerParts<T = unknown> {
  readonly brokers: BrokerClient;
  readonly subscriptions: GroupSubscriptions;
  readonly offsets: OffsetTable;
  readonly groupStart: GroupStart;
  readonly statistics: ConsumerStatistics = new ConsumerStatistics();
  readonly tracer: Tracer | undefined;
  readonly settlement: Settlement<T>;
  readonly dispatcher: Dispatcher<OwnedQueue<T>, QueueBatch<T>>;
  readonly locks: QueueLocks | undefined;
  readonly assignment: Assignment<T>;
  readonly rebalancer: Rebalancer;
  readonly watchdog: Watchdog;
  readonly groupWatch: GroupWatch;
  /** Where the group's retries are delivered from; undefined in broadcasting, where nothing is retried. */
  readonly retryTopic: string | undefined;
  #cluster: Cluster;
  #options: CheckedConsumerOptions;

  constructor(cluster: Cluster, options: CheckedConsumerOptions, owner: PartsOwner, offsets?: OffsetStore) {
    this.#cluster = cluster;
    this.#options = options;
    const signals = new ConsumerSignals<T>();
    this.retryTopic = options.model === "clustering" ? retryTopic(options.group) : undefined;
    this.brokers = new BrokerClient(cluster, options.group);
    this.subscriptions = this.#makeSubscriptions(signals, owner);
    this.offsets = offsets === undefined ? this.#brokerOffsets() : OffsetTable.of(offsets);
    this.groupStart = this.#makeGroupStart();
    this.tracer = this.#makeTracer();
    const redelivery = options.model === "clustering" ? this.#sendBack() : new Skip<T>(options.group, this.#events);
    this.settlement = this.#makeSettlement(redelivery, signals, owner.observers);
    const delivery = new QueueDelivery<T>(this.settlement, options.consumeTimeout);
    this.dispatcher = new Dispatcher<OwnedQueue<T>, QueueBatch<T>>(
      options.batchSize,
      (owned, max, topic) => delivery.deliver(owned, max, topic),
    );
    this.locks = this.#makeLocks(signals);
    this.assignment = this.#makeAssignment(redelivery);
    this.rebalancer = this.#makeRebalancer();
    signals.connect(this);
    this.watchdog = new Watchdog({
      group: options.group,
      events: this.#events,
      queues: () => this.assignment.owned as Iterable<OwnedQueue>,
    });
    this.groupWatch = new GroupWatch({
      group: options.group,
      clientId: cluster.clientId,
      events: this.#events,
      subscriptions: () => this.subscriptions.describe().subscriptionDataSet,
      brokers: () => {
        const ours = new Set(this.assignment.owned.map(({ queue }) => queue.broker));
        return ours.size > 0 ? [...ours] : this.#brokersOfTopics();
      },
      connections: (broker, timeout) => this.brokers.connections(options.group, broker, timeout),
      isOwnAddress: (address) => cluster.brokers.isOwnAddress(address),
    });
  }

  #brokersOfTopics(): readonly string[] {
    const topics = this.subscriptions.topics().filter((topic) => topic !== this.retryTopic);
    const names = topics.flatMap((topic) => [...this.#cluster.routes.known(topic)?.brokers.keys() ?? []]);
    return [...new Set(names)].slice(0, MOST_LOOKED_AT);
  }

  get #events() {
    return this.#cluster.options.events;
  }

  #makeSubscriptions(signals: ConsumerSignals<T>, owner: PartsOwner): GroupSubscriptions {
    const { group } = this.#options;
    return new GroupSubscriptions({
      cluster: this.#cluster,
      brokers: this.brokers,
      options: this.#options,
      consumeType: "CONSUME_PASSIVELY",
      retryTopic: this.retryTopic,
      onMissing: (topic) => {
        signals.topicMissing(topic);
        const text = `no name server knows topic "${topic}", waiting for it`;
        this.#events.emit("warning", "missingTopic", text, { group, topic });
      },
      onChanged: owner.onSubscriptionsChanged,
    });
  }

  #brokerOffsets(): OffsetTable {
    const register = () => this.#cluster.membership.beat();
    return new BrokerOffsetStore({ brokers: this.brokers, group: this.#options.group, register });
  }

  #makeGroupStart(): GroupStart {
    const { consumeFrom, model } = this.#options;
    return new GroupStart({
      consumeFrom,
      brokers: this.brokers,
      queues: (topic) => this.#cluster.routes.known(topic)?.readQueues ?? [],
      hasOffset: async (queue) => {
        const offset = await this.offsets.read(queue, "store");
        // 4.9 also answers 0 for a group that it does not know, while the queue's first message is in its memory.
        const isDoubtful = offset === 0 && model === "clustering" && this.brokers.isOld(queue.broker);
        return offset !== undefined && !isDoubtful;
      },
    });
  }

  #sendBack(): Redelivery<T> {
    const copies = new RetryCopies(this.#cluster, this.#options.group);
    return new SendBack<T>({
      options: this.#options,
      events: this.#events,
      sendBack: (message, how) => this.brokers.sendBack(message, how),
      sendCopy: (message, how, avoid) => copies.send(message, how, avoid),
      sendBroken: (queue, record, how) => copies.sendBroken(queue, record, how),
    });
  }

  #makeSettlement(
    redelivery: Redelivery<T>,
    sink: QueueSink<T>,
    observers: readonly ConsumerObserver[],
  ): Settlement<T> {
    const { group } = this.#options;
    const Rules = this.#options.ordering === "concurrent" ? ConcurrentSettlement : OrderedSettlement;
    return new Rules<T>({
      options: this.#options,
      events: this.#events,
      redelivery,
      sink,
      observer: new AllObservers<T>([
        new StatisticsObserver<T>(this.statistics),
        this.tracer && new TraceObserver<T>(this.tracer),
        userObservers<T>(observers, { consumer: "consumer", group, events: this.#events }),
      ]),
    });
  }

  #makeTracer(): Tracer | undefined {
    const { group, trace: topic } = this.#options;
    return topic === undefined ? undefined : new Tracer({ cluster: this.#cluster, group, topic, events: this.#events });
  }

  /** Where all members have all queues there is nothing to lock. Source: ConsumeMessageOrderlyService. */
  #makeLocks(signals: ConsumerSignals<T>): QueueLocks | undefined {
    const { group, model, ordering, lockTimeout } = this.#options;
    if (ordering === "concurrent" || model === "broadcasting") return undefined;
    return new QueueLocks({
      lockTimeout,
      lock: (broker, queues) => this.brokers.lock(group, broker, queues),
      unlock: (broker, queues) => this.brokers.unlock(group, broker, queues),
      onLost: (queue, reason) => signals.lockLost(queue, reason),
      onFailed: (broker, error) => {
        const text = `cannot lock queues of broker "${broker}" for group "${group}", going on trying`;
        this.#events.emit("warning", "stalled", text, { group, broker, error });
      },
    });
  }

  #makeAssignment(redelivery: Redelivery<T>): Assignment<T> {
    const { group } = this.#options;
    const reader = retryReader(group, this.subscriptions);
    return new Assignment<T>({
      options: this.#options,
      events: this.#events,
      brokers: this.brokers,
      puller: new Puller<T>(this.brokers, this.#options, this.statistics, reader),
      offsets: this.offsets,
      autoCommit: true,
      startOffset: (queue, isRetry) => this.groupStart.offsetOf(queue, isRetry),
      limits: new FlowLimits(this.#options),
      locks: this.locks,
      keyOf: orderingKeyOf<T>(this.#options, this.#events),
      sink: this.dispatcher,
      subscriptions: this.subscriptions,
      broken: new Rescue<T>({ group, events: this.#events, redelivery }),
    });
  }

  #makeRebalancer(): Rebalancer {
    const { group, model, allocation, rebalanceInterval } = this.#options;
    return new Rebalancer({
      cluster: this.#cluster,
      brokers: this.brokers,
      group,
      allocation: model === "clustering" ? allocation : undefined,
      interval: rebalanceInterval,
      topics: () => this.subscriptions.topics(),
      owned: () => this.assignment.owned.map(({ queue }): MessageQueue => queue),
      change: (gained, lost, reason) => {
        for (const { queue } of gained) if (queue.topic !== this.retryTopic) this.groupStart.gained(queue);
        return this.assignment.change(gained, lost, reason);
      },
      onUnknown: (topic, reason, error) => {
        const text = `released the queues of topic "${topic}": ${reason}`;
        this.#events.emit("warning", "stalled", text, { group, topic, error });
      },
    });
  }
}
