/**
 * Committed offsets: by group, topic and queue. Source: ConsumerOffsetManager.
 *
 * @module
 */

/** A table of offsets. */
class OffsetTable {
  #table = new Map<string, Map<number, number>>();

  #size = 0;

  /** How many offsets it has. */
  get size(): number {
    return this.#size;
  }

  /** The offsets of a group and topic; none where none was set. */
  queues(group: string, topic: string): ReadonlyMap<number, number> {
    return this.#table.get(keyOf(group, topic)) ?? NONE;
  }

  set(group: string, topic: string, queueId: number, offset: number): void {
    this.#set(keyOf(group, topic), queueId, offset);
  }

  /** Takes over what another table has. */
  addAll(other: OffsetTable): void {
    for (const [key, queues] of other.#table) for (const [queueId, offset] of queues) this.#set(key, queueId, offset);
  }

  #set(key: string, queueId: number, offset: number): void {
    let queues = this.#table.get(key);
    if (queues === undefined) this.#table.set(key, queues = new Map());
    if (!queues.has(queueId)) this.#size++;
    queues.set(queueId, offset);
  }

  delete(group: string, topic: string, queueId: number): void {
    const key = keyOf(group, topic);
    const queues = this.#table.get(key);
    if (queues?.delete(queueId)) this.#size--;
    if (queues?.size === 0) this.#table.delete(key);
  }

  copy(): OffsetTable {
    const copied = new OffsetTable();
    copied.addAll(this);
    return copied;
  }
}

const NONE: ReadonlyMap<number, number> = new Map();

function keyOf(group: string, topic: string): string {
  return `${topic}@${group}`;
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
  #most: number;
  #live = new OffsetTable();
  #durable = new OffsetTable();
  /** What operators have set and no pull has been told of. */
  #resets = new OffsetTable();
  /** What was committed since the last persist. */
  #unpersisted = new OffsetTable();
  #nextPersist: number;

  /** Makes an empty table of at most `most` offsets that becomes durable every `interval` milliseconds. */
  constructor(interval: number, most: number) {
    this.#interval = interval;
    this.#most = most;
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
    if (this.commit(group, topic, queueId, offset)) this.#resets.set(group, topic, queueId, offset);
  }

  /** Whether an operator has set an offset of which no pull has been told. */
  hasReset(group: string, topic: string, queueId: number): boolean {
    return this.#resets.queues(group, topic).has(queueId);
  }

  /** The offset that an operator has set, once. */
  takeReset(group: string, topic: string, queueId: number): number | undefined {
    const offset = this.#resets.queues(group, topic).get(queueId);
    if (offset !== undefined) this.#resets.delete(group, topic, queueId);
    return offset;
  }

  /** Stores an offset; false if there are as many as may be, and none of this queue. */
  commit(group: string, topic: string, queueId: number, offset: number): boolean {
    this.#persistIfDue();
    if (this.#live.size >= this.#most && !this.#live.queues(group, topic).has(queueId)) return false;
    this.#live.set(group, topic, queueId, offset);
    if (this.#interval === 0) this.#durable.set(group, topic, queueId, offset);
    else this.#unpersisted.set(group, topic, queueId, offset);
    return true;
  }

  /** Makes all offsets durable. */
  persist(): void {
    this.#durable.addAll(this.#unpersisted);
    this.#unpersisted = new OffsetTable();
  }

  /** Goes back to the offsets that are durable. */
  revert(): void {
    this.#persistIfDue();
    this.#unpersisted = new OffsetTable();
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
