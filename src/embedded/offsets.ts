/**
 * Committed offsets: by group, topic and queue. Source: ConsumerOffsetManager.
 *
 * @module
 */

/** One commit. */
interface Commit {
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly offset: number;
}

/** Offsets of one group and topic, by queue. */
type QueueOffsets = Map<number, number>;

/** A table of offsets. */
class OffsetTable {
  #table = new Map<string, QueueOffsets>();

  queues(group: string, topic: string): QueueOffsets {
    const key = `${topic}@${group}`;
    let queues = this.#table.get(key);
    if (queues === undefined) this.#table.set(key, queues = new Map());
    return queues;
  }

  copy(): OffsetTable {
    const copied = new OffsetTable();
    for (const [key, queues] of this.#table) copied.#table.set(key, new Map(queues));
    return copied;
  }
}

/**
 * Offsets as a broker keeps them: any value is taken, also a smaller one; what is not yet durable is lost when the
 * broker is killed.
 *
 * No timer writes them: a commit that comes after the end of a persist interval first makes the ones before it
 * durable, which comes to the same.
 */
export class Offsets {
  #interval: number;
  #live = new OffsetTable();
  #durable = new OffsetTable();
  /** What operators have set and no pull has been told of. */
  #resets = new OffsetTable();
  /** What was committed since the last persist. */
  #young: Commit[] = [];
  #nextPersist: number;

  /** Makes an empty table that becomes durable every `interval` milliseconds. */
  constructor(interval: number) {
    this.#interval = interval;
    this.#nextPersist = Date.now() + interval;
  }

  /** The offset that a group has committed for a queue, or that an operator has set. */
  get(group: string, topic: string, queueId: number): number | undefined {
    return this.#resets.queues(group, topic).get(queueId) ?? this.#live.queues(group, topic).get(queueId);
  }

  /** The sum of the offsets that a group has committed for a topic. */
  sum(group: string, topic: string): number {
    return [...this.#live.queues(group, topic).values()].reduce((sum, offset) => sum + offset, 0);
  }

  /** Sets an offset that commits do not change until a pull has been told of it. */
  reset(group: string, topic: string, queueId: number, offset: number): void {
    this.commit(group, topic, queueId, offset);
    this.#resets.queues(group, topic).set(queueId, offset);
  }

  /** Whether an operator has set an offset of which no pull has been told. */
  hasReset(group: string, topic: string, queueId: number): boolean {
    return this.#resets.queues(group, topic).has(queueId);
  }

  /** The offset that an operator has set, once. */
  takeReset(group: string, topic: string, queueId: number): number | undefined {
    const resets = this.#resets.queues(group, topic);
    const offset = resets.get(queueId);
    resets.delete(queueId);
    return offset;
  }

  /** Stores an offset. */
  commit(group: string, topic: string, queueId: number, offset: number): void {
    this.#persistIfDue();
    this.#live.queues(group, topic).set(queueId, offset);
    if (this.#interval === 0) this.#durable.queues(group, topic).set(queueId, offset);
    else this.#young.push({ group, topic, queueId, offset });
  }

  /** Makes all offsets durable. */
  persist(): void {
    for (const { group, topic, queueId, offset } of this.#young) {
      this.#durable.queues(group, topic).set(queueId, offset);
    }
    this.#young = [];
  }

  /** Goes back to the offsets that are durable. */
  forgetYoung(): void {
    this.#persistIfDue();
    this.#young = [];
    this.#resets = new OffsetTable();
    this.#live = this.#durable.copy();
  }

  #persistIfDue(): void {
    const now = Date.now();
    if (this.#interval === 0 || now < this.#nextPersist) return;
    this.persist();
    this.#nextPersist = now + this.#interval - (now - this.#nextPersist) % this.#interval;
  }
}
