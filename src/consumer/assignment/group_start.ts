/**
 * When a group began to consume a topic, as far as its next member can know.
 *
 * @module
 */

import { askAll } from "../../cluster/ask_all.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import { atMost, Semaphore } from "../../waiting.ts";
import { type ConsumeFrom, type QueuePositions, resolveStartOffset } from "../start_offset.ts";
import { inBackground } from "../../owned_work.ts";

/** How many offsets are read at a time. */
const READS_AT_A_TIME = 64;

/** What a {@linkcode GroupStart} works with. */
export interface GroupStartContext {
  /** The consumer's option. */
  readonly consumeFrom: ConsumeFrom;
  /** Where positions are read, and by how much a broker's clock is ahead of ours, in milliseconds. */
  readonly brokers: QueuePositions & { clockSkew(queue: MessageQueue): Promise<number> };
  /** The queues of a topic that are known now. */
  readonly queues: (topic: string) => readonly MessageQueue[];
  /** Whether the group has an offset of a queue for certain. Rejects if that cannot be found out. */
  readonly hasOffset: (queue: MessageQueue) => Promise<boolean>;
}

/** A topic at the moment of the join. */
interface Join {
  /** By our own clock. */
  readonly at: number;
  /** The queues that were there. */
  readonly seen: ReadonlySet<string>;
  /** The ends of queues that became ours with the join; undefined where they could not be read. */
  readonly ends: Map<string, Promise<number | undefined>>;
  /** Whether the join is over: what becomes ours later has moved on since. */
  isOver: boolean;
  /** Whether the group had an offset of any queue. */
  isKnownGroup: Promise<boolean> | undefined;
}

/**
 * Where the queues of a topic begin that have no stored offset. What one member saw at its first look says nothing
 * about the group: it asks whether the group has an offset of any queue of the topic, on any broker.
 */
export class GroupStart {
  #context: GroupStartContext;
  #joins = new Map<string, Join>();
  #gate = new Semaphore(READS_AT_A_TIME);

  /** Makes it without a topic. */
  constructor(context: GroupStartContext) {
    this.#context = context;
  }

  /** Notes that this member takes part in the consumption of a topic from now on. */
  join(topic: string): void {
    if (this.#joins.has(topic)) return;
    const seen = new Set(this.#context.queues(topic).map(queueKey));
    this.#joins.set(topic, { at: Date.now(), seen, ends: new Map(), isOver: false, isKnownGroup: undefined });
  }

  /** Notes where a queue ends that becomes ours with the join: what is sent after the join is for this group. */
  gained(queue: MessageQueue): void {
    const join = this.#joins.get(queue.topic);
    const key = queueKey(queue);
    if (this.#context.consumeFrom !== "last" || join === undefined || join.isOver || !join.seen.has(key)) return;
    join.ends.set(key, this.#gate.pass(() => this.#context.brokers.maxOffset(queue)).catch(() => undefined));
  }

  /** Resolves when the ends of the queues that became ours with the join are known, or after `ms` milliseconds. */
  async joined(ms: number): Promise<void> {
    const joins = [...this.#joins.values()].filter(({ isOver }) => !isOver);
    for (const join of joins) join.isOver = true;
    const ends = joins.flatMap((join) => [...join.ends.values()]);
    if (ends.length > 0) await atMost(Promise.all(ends), ms);
  }

  /** Forgets a topic that is not subscribed any more. */
  leave(topic: string): void {
    this.#joins.delete(topic);
  }

  /** Computes the first offset of a queue for which none is stored. */
  async offsetOf(queue: MessageQueue, isRetry: boolean): Promise<number> {
    const { consumeFrom, brokers } = this.#context;
    if (isRetry || consumeFrom !== "last") {
      return await resolveStartOffset(brokers, queue, { consumeFrom, isRetry, isKnownGroup: false });
    }
    this.join(queue.topic);
    const join = this.#joins.get(queue.topic)!;
    const isKnownGroup = await this.#isKnownGroup(queue.topic, join);
    const end = isKnownGroup ? undefined : await join.ends.get(queueKey(queue));
    if (end !== undefined) return end;
    const joinedAt = isKnownGroup ? undefined : join.at + await brokers.clockSkew(queue);
    return await resolveStartOffset(brokers, queue, { consumeFrom, isRetry, isKnownGroup, joinedAt });
  }

  /** Asked once, before this member stores the first offset that it computes; after a failure again. */
  #isKnownGroup(topic: string, join: Join): Promise<boolean> {
    if (join.isKnownGroup === undefined) {
      join.isKnownGroup = this.#hasAnyOffset(topic);
      inBackground(join.isKnownGroup, () => join.isKnownGroup = undefined);
    }
    return join.isKnownGroup;
  }

  /** One offset is enough; that there is none has to be said of each queue. */
  async #hasAnyOffset(topic: string): Promise<boolean> {
    let isFound = false;
    const { unanswered } = await askAll(
      this.#context.queues(topic),
      async (queue) => {
        if (await this.#context.hasOffset(queue)) isFound = true;
      },
      {
        timeout: Infinity, // each read has its own
        atATime: READS_AT_A_TIME,
        action: (queue) => `read the offset of ${queueKey(queue)}`,
        patience: () => isFound ? "none" : "all",
      },
    );
    const [failure] = unanswered;
    if (!isFound && failure !== undefined) throw failure.error;
    return isFound;
  }
}
