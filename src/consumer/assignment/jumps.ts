/**
 * Positions that a broker does not have, and where their queues go on.
 *
 * @module
 */

import type { BrokerClient } from "../../brokers/broker_client.ts";
import type { EventHub } from "../../events.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import { delay } from "../../waiting.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";
import type { PullAnswer } from "../queue/puller.ts";
import type { PullReports } from "./pull_reports.ts";
import { inBackground } from "../../owned_work.ts";

/** After a position could not be found out or stored, and between two attempts at a position, in milliseconds. */
const RETRY_INTERVAL = 1_000;
/** How often a position that the broker does not have is asked for again, where no better one is known. */
const MOVED_PATIENCE = 3;
/** The broker's word for a position that an operator has set. Source: GetMessageStatus. */
const OFFSET_RESET = "OFFSET_RESET";
/** How many jumps of a queue are followed at once; each further one waits twice as long as the one before. */
const FREE_JUMPS = 2;
/** The longest of these waits, in milliseconds. */
const LONGEST_WAIT = 30_000;
/** After so long without a jump a queue counts as settled, in milliseconds. */
const CALM = 120_000;

/** What {@linkcode Jumps} work with. */
export interface JumpsContext<T = unknown> {
  /** The group, for events. */
  readonly group: string;
  /** Emits events. */
  readonly events: EventHub;
  /** Reads positions. */
  readonly brokers: Pick<BrokerClient, "minOffset" | "offsetAt">;
  /** Sets a queue's position, which begins another epoch. */
  readonly seek: (queue: MessageQueue, offset: number, reason: string) => Promise<void>;
  /** Reports what keeps a position from being found out or stored. */
  readonly reports: Pick<PullReports, "failed">;
}

/** Why a position moves. */
type JumpType = "offsetReset" | "offsetJumped";

/** Follows brokers to other positions; counts that by queue, so that one which is sent to and fro costs little. */
export class Jumps<T = unknown> {
  #context: JumpsContext<T>;
  #history = new Map<string, { count: number; last: number }>();

  /** Makes it without a history. */
  constructor(context: JumpsContext<T>) {
    this.#context = context;
  }

  /**
   * The broker does not have our position, for so many times in a row: returns when the loop goes on, in milliseconds,
   * or undefined if another epoch begins.
   */
  moved(owned: OwnedQueue<T>, answer: PullAnswer<T>, times: number): number | undefined {
    const { process } = owned;
    const { nextOffset: to, remark } = answer;
    if (remark.includes(OFFSET_RESET)) {
      this.#jumpInBackground(owned, () => Promise.resolve(to), "offsetReset");
      return undefined;
    }
    if (to > process.position) {
      // The broker has deleted what is below; what is held already stays good.
      this.#report("offsetJumped", owned.queue, process.position, to);
      process.put([], to);
      return this.#waitOf(owned.queue);
    }
    if (owned.newestStoredAt === 0 && times < MOVED_PATIENCE) return RETRY_INTERVAL;
    this.#jumpInBackground(owned, () => this.#positionAfterLoss(owned), "offsetJumped");
    return undefined;
  }

  /** Forgets a queue that is not assigned any more. */
  forget(queue: MessageQueue): void {
    this.#history.delete(queueKey(queue));
  }

  /** Notes a jump of a queue; returns how long it has to wait, in milliseconds. */
  #waitOf(queue: MessageQueue): number {
    const key = queueKey(queue);
    const now = performance.now();
    const history = this.#history.get(key) ?? { count: 0, last: now };
    this.#history.set(key, history);
    if (now - history.last > CALM) history.count = 0;
    const further = history.count++ - FREE_JUMPS;
    const wait = further < 0 ? 0 : Math.min(LONGEST_WAIT, RETRY_INTERVAL * 2 ** Math.min(further, 10));
    history.last = now + wait;
    return wait;
  }

  /**
   * The queue is shorter than what was read of it: its topic was made anew, or its broker lost the end of its log.
   * Going to the new end, as brokers propose, would skip what was written there since.
   */
  #positionAfterLoss(owned: OwnedQueue<T>): Promise<number> {
    const { brokers } = this.#context;
    const from = owned.process.oldest?.storedAt.getTime() ?? owned.newestStoredAt;
    return from === 0 ? brokers.minOffset(owned.queue) : brokers.offsetAt(owned.queue, from);
  }

  #jumpInBackground(owned: OwnedQueue<T>, to: () => Promise<number>, type: JumpType): void {
    inBackground(this.#jump(owned, to, type), (error) => this.#context.reports.failed(owned, error));
  }

  async #jump(owned: OwnedQueue<T>, to: () => Promise<number>, type: JumpType): Promise<void> {
    const { queue } = owned;
    const from = owned.process.position;
    const pause = (ms: number) => delay(ms, { signal: owned.ended }).catch(() => {});
    await pause(this.#waitOf(queue));
    while (owned.state === "open") {
      try {
        const offset = await to();
        if (owned.state !== "open") return;
        this.#report(type, queue, from, offset);
        await this.#context.seek(queue, offset, `the queue's position was set to ${offset}`);
      } catch (error) {
        this.#context.reports.failed(owned, error);
        await pause(RETRY_INTERVAL);
      }
    }
  }

  #report(type: JumpType, queue: MessageQueue, from: number, to: number): void {
    const text = `the position of ${queueKey(queue)} went from ${from} to ${to}`;
    const { events, group } = this.#context;
    events.emit("warning", type, text, { group, queue, broker: queue.broker, offset: to });
  }
}
