/**
 * What becomes of popped messages: all of it is settled at their broker.
 *
 * @module
 */

import type { SendBackOptions } from "../../brokers/broker_client.ts";
import type { PopClient } from "../../brokers/pop_client.ts";
import { ConsumerStateError, ResponseError, ValidationError } from "../../errors.ts";
import type { EventHub } from "../../events.ts";
import type { Message } from "../../message.ts";
import { delay } from "../../waiting.ts";
import { type BatchPlace, BatchSettlement } from "../delivery/batch_settlement.ts";
import type { Outcome, RetryOptions, SettlementObserver } from "../delivery/delivered_batch.ts";
import { type PopHolder, PoppedBatch, type PopRules } from "./batch.ts";
import type { Delivery } from "./delivery.ts";
import { type CheckedPopOptions, MAX_INVISIBLE, MIN_INVISIBLE } from "./options.ts";

/** How often an ack, and what stands for it, is tried. */
const ATTEMPTS = 3;
/** Between two of these attempts, in milliseconds. */
const ATTEMPT_INTERVAL = 500;
/** The delay of the n-th failure, in seconds. Source: DefaultMQPushConsumer `popDelayLevel`. */
const DELAYS = [10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200];
/** How long a message may stay invisible after a failure, in milliseconds. */
const [SHORTEST_DELAY, LONGEST_DELAY] = [1_000, 7_200_000];
/** The delay level that means the dead letter queue. */
const DEAD_LETTER_LEVEL = -1;

/** What a {@linkcode PopSettlement} needs. */
export interface PopSettlementContext<T = unknown> {
  /** The consumer's options. */
  readonly options: Pick<CheckedPopOptions, "group" | "maxReconsumeTimes">;
  /** Emits events. */
  readonly events: EventHub;
  /** Reaches the brokers. */
  readonly client: Pick<PopClient, "ack" | "changeInvisibleTime">;
  /** Sends a message to the dead letter queue, by its place in the broker's commit log. */
  readonly sendBack: (message: Message<T>, options: SendBackOptions) => Promise<void>;
  /** Called with what is delivered, and with its outcome. */
  readonly observer: SettlementObserver<T>;
}

/** The rules of POP, and the watch over invisible times. */
export class PopSettlement<T = unknown> extends BatchSettlement<T, PoppedBatch<T>> implements PopRules<T> {
  #context: PopSettlementContext<T>;
  /** Requests that are on their way. */
  #sending = new Set<Promise<void>>();
  #inFlightCount = 0;
  #idle: (() => void)[] = [];

  /** Makes the settlement of one consumer. */
  constructor(context: PopSettlementContext<T>) {
    super({ group: context.options.group, events: context.events, observer: context.observer });
    this.#context = context;
  }

  /** How many messages are in flight. */
  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  /** Makes a batch of messages whose invisible time ends at `deadline`; `holder` is called when they are settled. */
  deliver(
    topic: string,
    deliveries: readonly Delivery<T>[],
    deadline: number,
    holder?: PopHolder,
  ): PoppedBatch<T> {
    const batch = PoppedBatch.popped<T>(topic, deliveries, deadline, this);
    batch.holder = holder;
    if (batch.length === 0) return batch;
    this.#inFlightCount += batch.length;
    this.delivered(batch);
    return batch;
  }

  ack(batch: PoppedBatch<T>, message?: Message<T>): Promise<void> {
    return this.#work(this.#acknowledge(batch, this.#claim(batch, message, "acknowledged")));
  }

  retry(batch: PoppedBatch<T>, message: Message<T> | undefined, options: RetryOptions): Promise<void> {
    return this.#work(this.#retry(batch, message, options));
  }

  deadLetter(batch: PoppedBatch<T>, message: Message<T> | undefined): Promise<void> {
    const claimed = this.#claim(batch, message, "deadLettered");
    this.countRetried(claimed.length);
    return this.#work(Promise.all(claimed.map((delivery) => this.#bury(batch, delivery))));
  }

  /** Nothing is sent: the messages are redelivered when their invisible time ends. */
  release(batch: PoppedBatch<T>): void {
    const claimed = batch.claim();
    this.ended(batch, "released", claimed.map((at) => batch.messages[at]!));
    this.#settled(batch, claimed.length);
  }

  async extend(batch: PoppedBatch<T>, ms: number): Promise<void> {
    if (!Number.isInteger(ms) || ms < MIN_INVISIBLE || ms > MAX_INVISIBLE) {
      const allowed = `an integer from ${MIN_INVISIBLE} to ${MAX_INVISIBLE} (ms)`;
      throw new ValidationError("extend a batch", [{ field: "ms", value: ms, allowed }]);
    }
    if (!batch.counts) throw timeIsOver();
    const unsettled = batch.unclaimed();
    if (unsettled.length === 0) return;
    let from = Infinity; // when the first request left: an extension before this one may still be under way
    await Promise.all(unsettled.map((at) =>
      batch.deliveries[at]!.change((ack) => {
        if (!batch.counts) throw timeIsOver();
        from = Math.min(from, performance.now());
        return this.#context.client.changeInvisibleTime(ack, ms);
      })
    ));
    if (!batch.counts) throw timeIsOver(); // meanwhile
    batch.deadline = from + ms;
    this.inFlight.watch(batch.deadline);
  }

  /** Resolves when nothing is in flight, and all settlements have reached their broker. */
  async whenIdle(): Promise<void> {
    while (this.#inFlightCount > 0 || this.#sending.size > 0) {
      if (this.#sending.size > 0) await Promise.all(this.#sending);
      else await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  /** Ends the watch; what is in flight is redelivered by itself. */
  close(reason: string): void {
    this.inFlight.close((batch) => {
      this.ended(batch, "revoked", batch.unclaimed().map((at) => batch.messages[at]!));
      this.#end(batch, reason);
    });
  }

  async #retry(batch: PoppedBatch<T>, message: Message<T> | undefined, options: RetryOptions): Promise<void> {
    const wanted = delayOf(options);
    const claimed = this.#claim(batch, message, this.failureOf(batch));
    this.countRetried(claimed.length);
    await Promise.all(claimed.map((delivery) => {
      const { reconsumeTimes } = delivery.message;
      if (reconsumeTimes >= this.#context.options.maxReconsumeTimes) return this.#bury(batch, delivery);
      const ms = wanted ?? DELAYS[Math.min(reconsumeTimes, DELAYS.length - 1)]! * 1_000;
      return this.#attempt(batch, [delivery], "sendBackFailed", async () => {
        await this.#context.client.changeInvisibleTime(delivery.ack, ms);
      });
    }));
  }

  /** Only when the dead letter queue has it, the message is acknowledged: Java drops it. */
  async #bury(batch: PoppedBatch<T>, delivery: Delivery<T>): Promise<void> {
    const { sendBack, events, options: { group } } = this.#context;
    const { message } = delivery;
    const how: SendBackOptions = { group, delayLevel: DEAD_LETTER_LEVEL, maxReconsumeTimes: 0 };
    if (!await this.#attempt(batch, [delivery], "sendBackFailed", () => sendBack(message, how))) return;
    const { topic, messageId, queue, queueOffset: offset } = message;
    const text = `message ${messageId} of topic "${topic}" is in the dead letter queue`;
    events.emit("warning", "deadLettered", text, { group, broker: queue.broker, topic, queue, offset });
    await this.#acknowledge(batch, [delivery]);
  }

  async #acknowledge(batch: PoppedBatch<T>, deliveries: readonly Delivery<T>[]): Promise<void> {
    const [first] = deliveries;
    if (first === undefined) return;
    const { broker } = first.receipt; // all of a batch come from one
    await this.#attempt(
      batch,
      deliveries,
      "ackFailed",
      () => this.#context.client.ack(broker, deliveries.map(({ ack }) => ack)),
    );
  }

  /**
   * Tries a few times, for as long as it counts, after the extensions under way; emits an event if it was in vain: then
   * the messages are redelivered.
   */
  async #attempt(
    batch: PoppedBatch<T>,
    deliveries: readonly Delivery<T>[],
    type: "ackFailed" | "sendBackFailed",
    request: () => Promise<void>,
  ): Promise<boolean> {
    for (const { changing } of deliveries) if (changing !== undefined) await changing;
    for (let attempt = 1;; attempt++) {
      try {
        await request();
        return true;
      } catch (error) {
        const isFinal = error instanceof ResponseError && !error.retriable;
        if (attempt < ATTEMPTS && !isFinal && performance.now() + ATTEMPT_INTERVAL < batch.deadline) {
          await delay(ATTEMPT_INTERVAL);
          continue;
        }
        this.#reportFailed(batch, deliveries, type, error);
        return false;
      }
    }
  }

  #reportFailed(
    { topic }: PoppedBatch<T>,
    deliveries: readonly Delivery<T>[],
    type: "ackFailed" | "sendBackFailed",
    error: unknown,
  ): void {
    const { events, options: { group } } = this.#context;
    const { broker } = deliveries[0]!.receipt;
    const text =
      `the broker did not take the settlement of ${deliveries.length} messages of topic "${topic}": they are redelivered`;
    events.emit("warning", type, text, { group, topic, broker, error });
  }

  /** Claims messages while that counts, and reports how they ended. */
  #claim(batch: PoppedBatch<T>, message: Message<T> | undefined, outcome: Outcome): Delivery<T>[] {
    if (!batch.counts) return [];
    const claimed = batch.claim(message);
    if (claimed.length === 0) return [];
    this.ended(batch, outcome, claimed.map((at) => batch.messages[at]!));
    this.countSettled(claimed.length);
    this.#settled(batch, claimed.length);
    return claimed.map((at) => batch.deliveries[at]!);
  }

  #settled(batch: PoppedBatch<T>, count: number): void {
    if (batch.place < 0) return; // its time was over
    this.#inFlightCount -= count;
    if (batch.isClaimed) this.inFlight.delete(batch);
    batch.holder?.settled(count);
    if (this.#inFlightCount === 0) { for (const wake of this.#idle.splice(0)) wake(); }
  }

  /** Keeps a request until it has ended: closing waits for it. */
  #work(work: Promise<unknown>): Promise<void> {
    const done = work.then(() => {});
    const ended = done.catch(() => {}).then(() => void this.#sending.delete(ended)); // the caller receives a failure
    this.#sending.add(ended);
    return done;
  }

  protected placeOf(): BatchPlace {
    return {}; // perhaps of several queues
  }

  protected timeIsOver(batch: PoppedBatch<T>): void {
    const { events, options: { group } } = this.#context;
    const late = batch.unclaimed().map((at) => batch.messages[at]!);
    const text = `a batch of ${late.length} messages was in flight for longer than its invisible time: ` +
      `they are redelivered`;
    events.emit("warning", "stalled", text, { group, topic: batch.topic });
    this.ended(batch, "timedOut", late);
    this.#end(batch, "its invisible time is over");
  }

  #end(batch: PoppedBatch<T>, reason: string): void {
    batch.abort(reason);
    this.#settled(batch, batch.claim().length);
  }
}

function timeIsOver(): ConsumerStateError {
  return new ConsumerStateError("Cannot extend this batch: its invisible time is over, its messages are redelivered", {
    code: "BATCH_VOID",
  });
}

function delayOf({ delay, delayLevel }: RetryOptions): number | undefined {
  const problems = [];
  if (delayLevel !== undefined) {
    const allowed = "nothing: popped messages stay invisible for a time, give delay in milliseconds";
    problems.push({ field: "delayLevel", value: delayLevel, allowed });
  }
  if (delay !== undefined && !(Number.isInteger(delay) && delay >= SHORTEST_DELAY && delay <= LONGEST_DELAY)) {
    problems.push({
      field: "delay",
      value: delay,
      allowed: `an integer from ${SHORTEST_DELAY} to ${LONGEST_DELAY} (ms)`,
    });
  }
  if (problems.length > 0) throw new ValidationError("retry", problems);
  return delay;
}
