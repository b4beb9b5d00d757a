/**
 * Records that cannot be read: they are made safe beside the loop that has found them.
 *
 * @module
 */

import type { EventHub } from "../../events.ts";
import { reasonOf } from "../../plain_text.ts";
import { delay, Semaphore } from "../../waiting.ts";
import type { BrokenRecord } from "../../wire/record.ts";
import type { Redelivery } from "./redelivery.ts";
import { restAfter } from "./local_rests.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";
import type { BrokenRecords } from "../queue/queue_flow.ts";
import { inBackground } from "../../owned_work.ts";

/** How many records are on their way at a time. */
const AT_A_TIME = 4;
/** The longest rest after a failure, in milliseconds. */
const LONGEST_REST = 300_000;

/** What a {@linkcode Rescue} works with. */
export interface RescueContext<T = unknown> {
  /** The group. */
  readonly group: string;
  /** Emits an event for each record, and for faults. */
  readonly events: EventHub;
  /** Takes the records. */
  readonly redelivery: Pick<Redelivery<T>, "sendsBack" | "deadLetterBroken">;
}

/** The records seen in an answer to a pull from `position` on. */
interface Seen {
  position: number;
  readonly records: Set<number | string>;
}

/**
 * Moves records that cannot be read to the dead letter queue, each once per epoch of its queue, and goes on trying
 * while that fails. Meanwhile the messages around it are delivered, and the offset that is stored does not pass it.
 */
export class Rescue<T = unknown> implements BrokenRecords<T> {
  #context: RescueContext<T>;
  #gate = new Semaphore(AT_A_TIME);
  #seen = new WeakMap<OwnedQueue<T>, Seen>();

  /** Makes one for a consumer. */
  constructor(context: RescueContext<T>) {
    this.#context = context;
  }

  add(owned: OwnedQueue<T>, record: BrokenRecord): void {
    const { events, group } = this.#context;
    const about = { group, queue: owned.queue };
    const failed = events.failureOf("broken", "making a record safe that cannot be read", about);
    inBackground(this.rescue(owned, record), failed);
  }

  /** Begins with a record, before the messages of its answer are in the process queue; need not be waited for. */
  async rescue(owned: OwnedQueue<T>, record: BrokenRecord): Promise<void> {
    if (!this.#isNew(owned, record)) return;
    const { redelivery: { sendsBack } } = this.#context;
    const { queue, process } = owned;
    const next = sendsBack ? "it goes to the dead letter queue" : "it is skipped";
    this.#emit(owned, record, "broken", `a record of topic "${queue.topic}" cannot be read, ${next}`, record.error);
    if (!sendsBack) return;
    const place = process.hold();
    for (let failures = 1; !owned.ended.aborted; failures++) {
      if (await this.#attempt(owned, record, failures)) break;
    }
    if (owned.ended.aborted) return; // the next owner finds it again
    process.release(place);
    owned.progressed();
  }

  /** Whether it is safe now; after a failure there is a rest. */
  async #attempt(owned: OwnedQueue<T>, record: BrokenRecord, failures: number): Promise<boolean> {
    const { queue } = owned;
    try {
      await this.#gate.pass(async () => {
        if (!owned.ended.aborted) await this.#context.redelivery.deadLetterBroken(queue, record);
      });
    } catch (error) {
      if (owned.ended.aborted) return false;
      const rest = restAfter(failures, LONGEST_REST);
      const reason = reasonOf(error);
      const text = `${reason}; trying again in ${rest} ms, until then the offset of the queue does not pass it`;
      this.#emit(owned, record, "sendBackFailed", text, error);
      await delay(rest, { signal: owned.ended }).catch(() => {});
      return false;
    }
    if (owned.ended.aborted) return false;
    const text = `a record of topic "${queue.topic}" that cannot be read is in the dead letter queue`;
    this.#emit(owned, record, "deadLettered", text);
    return true;
  }

  /** A loop that begins anew pulls from the same position: only there a record can be seen twice. */
  #isNew(owned: OwnedQueue<T>, { commitLogOffset, bytes }: BrokenRecord): boolean {
    const { position } = owned.process;
    let seen = this.#seen.get(owned);
    if (seen?.position !== position) this.#seen.set(owned, seen = { position, records: new Set() });
    const key = commitLogOffset ?? `byte ${bytes.byteOffset}`;
    if (seen.records.has(key)) return false;
    seen.records.add(key);
    return true;
  }

  #emit(
    { queue }: OwnedQueue<T>,
    { queueOffset }: BrokenRecord,
    type: "broken" | "sendBackFailed" | "deadLettered",
    text: string,
    error?: unknown,
  ): void {
    const { group, events } = this.#context;
    events.emit(type === "deadLettered" ? "warning" : "error", type, text, {
      ...{ group, topic: queue.topic, queue, broker: queue.broker },
      ...(queueOffset === undefined ? {} : { offset: queueOffset }),
      ...(error === undefined ? {} : { error }),
    });
  }
}
