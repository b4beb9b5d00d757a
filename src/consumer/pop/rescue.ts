/**
 * Popped records that cannot be read: they go to the dead letter queue, and are acknowledged then.
 *
 * @module
 */

import type { SendBackOptions, SendBackSource } from "../../brokers/broker_client.ts";
import type { BrokenPopped, PopClient, PopPlace } from "../../brokers/pop_client.ts";
import type { EventHub } from "../../events.ts";
import { DEAD_LETTER_LEVEL } from "../delivery/redelivery.ts";

/** How many records are remembered that were rescued: the oldest is forgotten for the next. */
const MOST_REMEMBERED = 10_000;

/** What a {@linkcode PopRescue} works with. */
export interface PopRescueContext {
  /** The group. */
  readonly group: string;
  /** Gets an event for each record, and for what fails. */
  readonly events: EventHub;
  /** Acknowledges. */
  readonly client: Pick<PopClient, "ack">;
  /** Moves a record to the dead letter queue, where its broker copies it as it is stored. */
  readonly sendBack: (source: SendBackSource, options: SendBackOptions) => Promise<void>;
}

/**
 * Rescues records: each, known by its place in its broker's commit log, is stored in the dead letter queue once,
 * however often it is delivered until its ack has arrived. What fails is tried again when the record is redelivered.
 */
export class PopRescue {
  #context: PopRescueContext;
  /** The records that are stored in the dead letter queue, or on their way to it. */
  #rescued = new Set<string>();
  #underWay = new Set<Promise<void>>();

  /** Makes the rescue of one consumer. */
  constructor(context: PopRescueContext) {
    this.#context = context;
  }

  /** Rescues the broken records of an answer. */
  add(place: PopPlace, broken: readonly BrokenPopped[]): void {
    for (const each of broken) {
      const done: Promise<void> = this.#rescue(place, each).finally(() => this.#underWay.delete(done));
      this.#underWay.add(done);
    }
  }

  /** Resolves when no rescue is under way. */
  async whenIdle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #rescue({ topic, broker, queueId }: PopPlace, { record, receipt }: BrokenPopped): Promise<void> {
    const { events, group, client, sendBack } = this.#context;
    const { commitLogOffset = -1, queueOffset: offset = -1, error } = record;
    const queue = { topic, broker, queueId: receipt?.queueId ?? queueId };
    const where = { group, topic, broker, queue, offset };
    const key = `${broker}@${commitLogOffset}`;
    if (!this.#rescued.has(key)) {
      this.#remember(key);
      const text = `a record of topic "${topic}" cannot be read; it goes to the dead letter queue`;
      events.emit("error", "broken", text, { ...where, error });
      const source = { queue, topic, messageId: "", commitLogOffset };
      const failure = await failureOf(sendBack(source, { group, delayLevel: DEAD_LETTER_LEVEL, maxReconsumeTimes: 0 }));
      if (failure !== undefined) {
        this.#rescued.delete(key);
        const text = `a record that cannot be read is not stored in the dead letter queue: it is redelivered`;
        events.emit("error", "sendBackFailed", text, { ...where, ...failure });
        return;
      }
    }
    const failure = receipt === undefined
      ? { error: record.error }
      : await failureOf(client.ack(broker, [{ topic, receipt }]));
    if (failure === undefined) return;
    const text =
      `a record that cannot be read is stored in the dead letter queue, but not acknowledged: it is redelivered`;
    events.emit("warning", "ackFailed", text, { ...where, ...failure });
  }

  #remember(key: string): void {
    for (const oldest of this.#rescued.size < MOST_REMEMBERED ? [] : this.#rescued) {
      this.#rescued.delete(oldest);
      break;
    }
    this.#rescued.add(key);
  }
}

/** Why something failed; undefined if it did not. */
async function failureOf(work: Promise<unknown>): Promise<{ readonly error: unknown } | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return { error };
  }
}
