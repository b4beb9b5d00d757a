/**
 * Popped messages that nobody is going to consume here: their broker gets them back at once.
 *
 * @module
 */

import type { PopClient } from "../../brokers/pop_client.ts";
import { ResponseError } from "../../errors.ts";
import type { EventHub } from "../../events.ts";
import type { Delivery } from "./delivery.ts";
import { inBackground } from "../../owned_work.ts";

/**
 * The invisible time that returns a message. Brokers take 0 as they take any other, there is no request for many
 * messages, and a 5.3.3 redelivers after about three seconds, roughly in the order of the requests, counting it like
 * any other.
 */
const AT_ONCE = 0;
/** How many requests to one broker are under way at a time. */
const WIDTH = 16;

/** What {@linkcode PopReturns} works with. */
export interface PopReturnsContext {
  /** The group. */
  readonly group: string;
  /** Gets what could not be returned. */
  readonly events: EventHub;
  /** Reaches the brokers. */
  readonly client: Pick<PopClient, "changeInvisibleTime">;
}

/** What goes back to one broker. */
interface Backlog {
  readonly broker: string;
  readonly waiting: Delivery[];
  readonly underWay: Set<Delivery>;
  /** What could not be returned, by topic. */
  readonly failed: Map<string, { count: number; readonly error: unknown }>;
}

/**
 * Returns messages to their brokers, a few at a time.
 *
 * What cannot be returned is redelivered when its invisible time ends: nothing is tried twice, as a request that was
 * made although its answer got lost would make two deliveries of one message.
 */
export class PopReturns {
  #context: PopReturnsContext;
  #backlogs = new Map<string, Backlog>();
  #idle: (() => void)[] = [];

  /** Makes the returns of one consumer. */
  constructor(context: PopReturnsContext) {
    this.#context = context;
  }

  /** Returns deliveries of one broker, whose invisible time is not over. */
  add(broker: string, deliveries: readonly Delivery[]): void {
    if (deliveries.length === 0) return;
    let backlog = this.#backlogs.get(broker);
    if (backlog === undefined) {
      backlog = { broker, waiting: [], underWay: new Set(), failed: new Map() };
      this.#backlogs.set(broker, backlog);
    }
    for (const delivery of deliveries) backlog.waiting.push(delivery);
    while (backlog.underWay.size < WIDTH && backlog.waiting.length > 0) this.#begin(backlog);
  }

  /** Resolves when all has been returned, or cannot be. */
  async whenIdle(): Promise<void> {
    if (this.#backlogs.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Waits no longer: what has not been returned by now is left to its invisible time. */
  giveUp(): void {
    for (const backlog of this.#backlogs.values()) {
      fail(backlog, [...backlog.underWay, ...backlog.waiting], undefined);
      backlog.underWay.clear();
      this.#end(backlog);
    }
  }

  #begin(backlog: Backlog): void {
    const { events, group } = this.#context;
    const what = `returning messages to broker "${backlog.broker}"`;
    inBackground(this.#next(backlog), events.failureOf("sendBackFailed", what, { group, broker: backlog.broker }));
  }

  async #next(backlog: Backlog): Promise<void> {
    const delivery = backlog.waiting.shift()!;
    backlog.underWay.add(delivery);
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.#context.client.changeInvisibleTime(delivery.ack, AT_ONCE);
    } catch (error) {
      failure = { error };
    }
    if (!backlog.underWay.delete(delivery)) return; // given up
    if (failure !== undefined) {
      // Where no answer comes, none is waited for again and again.
      const rest = failure.error instanceof ResponseError ? [] : backlog.waiting.splice(0);
      fail(backlog, [delivery, ...rest], failure.error);
    }
    if (backlog.waiting.length > 0) this.#begin(backlog);
    else if (backlog.underWay.size === 0) this.#end(backlog);
  }

  #end({ broker, failed }: Backlog): void {
    this.#backlogs.delete(broker);
    const { events, group } = this.#context;
    for (const [topic, { count, error }] of failed) {
      const text = `${count} messages of topic "${topic}" that were popped ahead could not be returned to broker ` +
        `"${broker}": they are redelivered when their invisible time ends`;
      events.emit("warning", "sendBackFailed", text, { group, topic, broker, error });
    }
    if (this.#backlogs.size === 0) { for (const wake of this.#idle.splice(0)) wake(); }
  }
}

function fail({ failed }: Backlog, deliveries: readonly Delivery[], error: unknown): void {
  for (const { message: { topic } } of deliveries) {
    const known = failed.get(topic);
    if (known === undefined) failed.set(topic, { count: 1, error });
    else known.count++;
  }
}
