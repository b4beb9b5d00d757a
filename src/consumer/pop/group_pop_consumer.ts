/**
 * A POP consumer as a whole: its parts, and its life.
 *
 * @module
 */

import type { PopPlace } from "../../brokers/pop_client.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { TimeoutError, UnsupportedError } from "../../errors.ts";
import { inAnyCase } from "../../owned_work.ts";
import type { ConsumerObserver } from "../../telemetry/consumer_observer.ts";
import { atMost, waitFor } from "../../waiting.ts";
import { VERSION_5_0_0 } from "../../wire/codes.ts";
import type { BatchSource } from "../delivery/iteration.ts";
import { Looping } from "../delivery/looping.ts";
import { waitToClose } from "../closing.ts";
import { closedFindings, type Findings } from "../diagnosis/finding.ts";
import type { ConsumerHealth } from "../../health.ts";
import { PopDiagnosis } from "../diagnosis/pop.ts";
import { enterGroup, type GroupMembership } from "../joining.ts";
import type { SubscriptionManager } from "../subscriptions/subscription_manager.ts";
import type { PopBatch, PoppedBatch } from "./batch.ts";
import { popCommands } from "./commands.ts";
import type { PopConsumer, PopConsumerStats, PopOptions } from "./consumer.ts";
import type { Delivery } from "./delivery.ts";
import { type CheckedPopOptions, checkPopOptions, type PopConsumerOptions } from "./options.ts";
import { PopParts } from "./parts.ts";
import { checkPopCall, popOnce } from "./pop_call.ts";

/** How long `close()` goes on after its timeout to leave the group, in milliseconds. */
const LAST_WORDS = 800;

/** Joins a group that pops; resolves when the brokers know this member. */
export async function joinPopGroup<T>(
  cluster: Cluster,
  options: PopConsumerOptions,
  observers: readonly ConsumerObserver[] = [],
): Promise<GroupPopConsumer<T>> {
  const consumer = new GroupPopConsumer<T>(cluster, checkPopOptions(options), observers);
  await consumer.start();
  return consumer;
}

/** A member of a group that pops. */
export class GroupPopConsumer<T = unknown> extends Looping<T, PoppedBatch<T>> implements PopConsumer<T> {
  readonly group: string;
  #cluster: Cluster;
  #options: CheckedPopOptions;
  #parts: PopParts<T>;
  #diagnosis: PopDiagnosis<T>;
  #isLooping = false;
  #isPaused = false;
  #membership: GroupMembership | undefined;

  constructor(cluster: Cluster, options: CheckedPopOptions, observers: readonly ConsumerObserver[]) {
    super({ ...options, what: `POP consumer of group "${options.group}"` });
    this.group = options.group;
    this.#cluster = cluster;
    this.#options = options;
    this.#parts = new PopParts<T>(cluster, options, {
      observers,
      mayPop: () => this.#isLooping && !this.#isPaused,
      isPaused: () => this.#isPaused,
      onSubscriptionsChanged: () => this.#subscriptionsChanged(),
    });
    this.#diagnosis = new PopDiagnosis<T>({
      cluster,
      group: options.group,
      parts: this.#parts,
      isLooping: () => this.#isLooping,
      isPaused: () => this.#isPaused,
      acksExplicitly: () => this.acksExplicitly,
    });
  }

  get subscriptions(): SubscriptionManager {
    return this.#parts.subscriptions.manager;
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
    this.#cluster.users.attach(this);
    try {
      const late = () => new TimeoutError(`join group "${this.group}"`, timeout);
      await waitFor(this.#parts.subscriptions.start(), { ms: timeout, late });
      this.checkOpen("join");
      this.#enter();
      await atMost(this.#cluster.membership.beat(), left() / 2);
      this.#checkVersion();
      await atMost(this.#parts.places.refresh(), left());
      this.checkOpen("join");
    } catch (error) {
      await this.close({ timeout: 0 });
      throw error;
    }
    this.#diagnosis.standstills.start();
  }

  async pop(options: PopOptions = {}): Promise<PopBatch<T>> {
    this.checkOpen("pop");
    const call = checkPopCall(options, this.#options.batchSize);
    const giveBack = (place: PopPlace, late: readonly Delivery<T>[]) => this.#parts.returns.add(place.broker, late);
    const places = this.#parts.places.places(call.topic);
    const context = { receiver: this.#parts.receiver, room: this.#parts.room, places, closing: this.closing, giveBack };
    const popped = await popOnce(context, call).catch((error) => {
      this.checkOpen("pop");
      throw error;
    });
    if (this.isClosed && popped !== undefined) {
      this.#parts.room.settled(popped.deliveries.length);
      giveBack(popped.place, popped.deliveries);
    }
    this.checkOpen("pop");
    const topic = popped?.place.topic ?? call.topic ?? this.#parts.subscriptions.topics()[0] ?? "";
    const { deliveries = [], receivedAt = performance.now() } = popped ?? {};
    return this.#parts.settlement.deliver(
      topic,
      deliveries,
      receivedAt + this.#options.invisibleTime,
      this.#parts.room,
    );
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.checkOpen("resume");
    this.#isPaused = false;
    this.#parts.sources.wake();
    for (const source of this.#parts.sources) this.#parts.dispatcher.offer(source); // what has come meanwhile
  }

  stats(): PopConsumerStats {
    const { inFlightCount: inFlight, settledTotal: settled, retriedTotal: retried } = this.#parts.settlement;
    return { ready: this.#parts.sources.count, inFlight, settled, retried };
  }

  explain(): Promise<Findings> {
    if (this.isClosed) return Promise.resolve(closedFindings(`the POP consumer of group "${this.group}"`));
    return Promise.resolve(this.#diagnosis.explain());
  }

  /** Whether it works, without a request. */
  health(): ConsumerHealth {
    return this.#diagnosis.health();
  }

  protected async end(timeout: number): Promise<void> {
    const end = performance.now() + timeout;
    const { group } = this;
    const failed = this.#cluster.options.events.failureOf("stalled", `group "${group}": a step of closing`, { group });
    const stopped = inAnyCase([() => this.#parts.places.stop()], failed);
    const parts = [this.#parts.settlement, this.#parts.returns, this.#parts.rescue];
    const last = () =>
      Promise.all([
        stopped,
        inAnyCase([() => this.#parts.tracer?.close()], failed),
        inAnyCase([() => this.#membership?.leave()], failed),
      ]);
    await inAnyCase([
      () => this.abortWaits(),
      () => this.#diagnosis.standstills.stop(),
      () => this.#parts.dispatcher.close(),
      () => this.#parts.sources.stop(),
      () => this.#membership?.unlisten(),
      () => this.#parts.subscriptions.stop(),
      () => waitToClose(this.#diagnosis.closeWait, Promise.all(parts.map((part) => part.whenIdle())), timeout),
      () => this.#parts.returns.giveUp(),
      () => this.#parts.settlement.close("the consumer was closed"),
      () => atMost(last(), Math.max(LAST_WORDS, end - performance.now())),
    ], failed);
    this.#cluster.users.detach(this);
  }

  #enter(): void {
    const listener = {
      ...popCommands<T>({
        options: this.#options,
        nameServers: this.#cluster.options.nameServers,
        subscriptions: this.#parts.subscriptions,
        statistics: this.#parts.statistics,
        sources: () => [...this.#parts.sources],
        dispatcher: this.#parts.dispatcher,
        onMembersChanged: () => this.#parts.places.notice(),
      }),
      onRouteChanged: () => this.#parts.places.notice(),
      onBrokerRecovered: (broker: string) => {
        this.#parts.places.notice();
        return this.#parts.places.places().filter((place) => place.broker === broker).length;
      },
    };
    this.#membership = enterGroup(this.#cluster, this.group, () => this.#parts.subscriptions.describe(), listener);
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

  /** From the first loop on brokers are asked ahead. */
  protected source(): BatchSource<PoppedBatch<T>> {
    if (!this.#isLooping) {
      this.#isLooping = true;
      this.#parts.sources.wake();
    }
    return this.#parts.dispatcher;
  }

  async #subscriptionsChanged(): Promise<void> {
    if (this.#membership === undefined || this.isClosed) return;
    await this.#cluster.membership.beat();
    await this.#parts.places.refresh();
  }
}
