/**
 * Putting the parts of a POP consumer together.
 *
 * @module
 */

import { BrokerClient, type SendBackOptions, type SendBackSource } from "../../brokers/broker_client.ts";
import { PopClient } from "../../brokers/pop_client.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { ConsumerObserver } from "../../telemetry/consumer_observer.ts";
import { ConsumerStatistics } from "../../telemetry/consumer_statistics.ts";
import { Tracer } from "../../telemetry/tracer.ts";
import { Dispatcher } from "../delivery/dispatcher.ts";
import { AllObservers, StatisticsObserver, TraceObserver, userObservers } from "../delivery/observers.ts";
import { GroupSubscriptions } from "../group/subscriptions.ts";
import { BufferBudget } from "../queue/buffer_budget.ts";
import type { PoppedBatch } from "./batch.ts";
import type { CheckedPopOptions } from "./options.ts";
import { PopPlaces } from "./places.ts";
import { PopRoom } from "./pop_room.ts";
import { PopReceiver } from "./receiver.ts";
import { PopRescue } from "./rescue.ts";
import { PopReturns } from "./returns.ts";
import { PopSettlement } from "./settlement.ts";
import type { PopSource } from "./source.ts";
import { PopSources } from "./sources.ts";

/** What the parts ask of, and report to, the consumer that they belong to. */
export interface PopPartsOwner {
  /** The observers of users. */
  readonly observers: readonly ConsumerObserver[];
  /** Whether loops take batches, and nothing is paused. */
  readonly mayPop: () => boolean;
  /** Whether nothing may be delivered for now. */
  readonly isPaused: () => boolean;
  /** A subscription has changed; what it returns is waited for. */
  readonly onSubscriptionsChanged: () => unknown;
}

/** The parts of one POP consumer, each built of those before it. */
export class PopParts<T = unknown> {
  readonly subscriptions: GroupSubscriptions;
  readonly statistics: ConsumerStatistics = new ConsumerStatistics();
  readonly tracer: Tracer | undefined;
  readonly settlement: PopSettlement<T>;
  readonly returns: PopReturns;
  readonly rescue: PopRescue;
  readonly receiver: PopReceiver<T>;
  /** Room for what single calls pop. */
  readonly room: PopRoom;
  readonly dispatcher: Dispatcher<PopSource<T>, PoppedBatch<T>>;
  readonly sources: PopSources<T>;
  readonly places: PopPlaces;

  constructor(cluster: Cluster, options: CheckedPopOptions, owner: PopPartsOwner) {
    const { group, batchSize, trace: topic } = options;
    const { events } = cluster.options;
    const client = new PopClient(cluster, group);
    const brokers = new BrokerClient(cluster, group);
    const sendBack = (source: SendBackSource, how: SendBackOptions) => brokers.sendBack(source, how);
    this.subscriptions = new GroupSubscriptions({
      cluster,
      brokers,
      options,
      consumeType: "CONSUME_POP",
      retryTopic: undefined, // brokers deliver retries with the topic itself
      onMissing: (topic) => {
        const text = `no name server knows topic "${topic}", waiting for it`;
        events.emit("warning", "missingTopic", text, { group, topic });
      },
      onChanged: owner.onSubscriptionsChanged,
    });
    this.tracer = topic === undefined ? undefined : new Tracer({ cluster, group, topic, events });
    const observer = new AllObservers<T>([
      new StatisticsObserver<T>(this.statistics),
      this.tracer && new TraceObserver<T>(this.tracer),
      userObservers<T>(owner.observers, { consumer: "popConsumer", group, events }),
    ]);
    this.settlement = new PopSettlement<T>({ options, events, client, sendBack, observer });
    this.returns = new PopReturns({ group, events, client });
    this.rescue = new PopRescue({ group, events, client, sendBack });
    this.receiver = new PopReceiver<T>({
      options,
      client,
      onBroken: (place, broken) => this.rescue.add(place, broken),
      statistics: this.statistics,
      selector: (topic) => this.subscriptions.selector(topic),
    });
    const messages = Math.max(options.maxBufferedMessages, batchSize);
    const budget = new BufferBudget({ messages, bytes: Infinity, batch: batchSize, batchBytes: Infinity });
    this.room = new PopRoom(budget);
    this.dispatcher = new Dispatcher<PopSource<T>, PoppedBatch<T>>(
      batchSize,
      (source, max, topic) => owner.isPaused() ? undefined : this.#deliver(source, max, topic),
    );
    this.sources = new PopSources<T>({
      options,
      receiver: this.receiver,
      events,
      budget,
      mayPop: owner.mayPop,
      giveBack: (broker, deliveries) => this.returns.add(broker, deliveries),
      onMessages: (source, receivedAt) => this.dispatcher.arrived(source, receivedAt),
    });
    this.places = new PopPlaces({
      group,
      routes: cluster.routes,
      client,
      events,
      topics: () => this.subscriptions.topics(),
      interval: options.rebalanceInterval,
      onPlaces: (places) => this.sources.setPlaces(places),
    });
  }

  #deliver(source: PopSource<T>, max: number, topic: string | undefined): PoppedBatch<T> | undefined {
    if (topic !== undefined && topic !== source.place.topic) return undefined;
    const taken = source.take(max);
    if (taken === undefined) return undefined;
    return this.settlement.deliver(source.place.topic, taken.deliveries, taken.deadline, source);
  }
}
