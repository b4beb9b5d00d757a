/**
 * Committed offsets: by group, topic and queue. Source: ConsumerOffsetManager.
 *
 * @module
 */

/** Offsets by group, topic and queue. */
class OffsetTable {
  #table = new Map<string, Map<number, number>>();

  #size = 0;

  /** The number of offsets. */
  get size(): number {
    return this.#size;
  }

  /** The offsets of a group and topic; empty without any. */
  queues(group: string, topic: string): ReadonlyMap<number, number> {
    return this.#table.get(keyOf(group, topic)) ?? NONE;
  }

  set(group: string, topic: string, queueId: number, offset: number): void {
    this.#set(keyOf(group, topic), queueId, offset);
  }

  /** Copies all offsets of another table. */
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
 * The committed offsets of a broker. Any value is accepted, a smaller one too. Offsets that are not persisted are lost
 * when the broker is killed.
 *
 * There is no timer: a commit after the end of a persist interval first persists those before it, which has the same
 * effect.
 */
export class Offsets {
  #interval: number;
  #most: number;
  #live = new OffsetTable();
  #persisted = new OffsetTable();
  /** Offsets that were reset, and not returned to a pull yet. */
  #resets = new OffsetTable();
  /** Offsets that were committed since the last persist. */
  #unpersisted = new OffsetTable();
  #nextPersist: number;

  /** Makes an empty table of at most `most` offsets that is persisted every `interval` milliseconds. */
  constructor(interval: number, most: number) {
    this.#interval = interval;
    this.#most = most;
    this.#nextPersist = Date.now() + interval;
  }

  /** The offset of a group for a queue, committed or reset. */
  get(group: string, topic: string, queueId: number): number | undefined {
    return this.#resets.queues(group, topic).get(queueId) ?? this.#live.queues(group, topic).get(queueId);
  }

  /** The sum of the offsets that a group has committed for a topic. */
  sum(group: string, topic: string): number {
    return [...this.#live.queues(group, topic).values()].reduce((sum, offset) => sum + offset, 0);
  }

  /** Resets an offset. Commits do not change it before it was returned to a pull. */
  reset(group: string, topic: string, queueId: number, offset: number): void {
    if (this.commit(group, topic, queueId, offset)) this.#resets.set(group, topic, queueId, offset);
  }

  /** Whether an offset was reset and not returned to a pull yet. */
  hasReset(group: string, topic: string, queueId: number): boolean {
    return this.#resets.queues(group, topic).has(queueId);
  }

  /** The offset after a reset; once. */
  takeReset(group: string, topic: string, queueId: number): number | undefined {
    const offset = this.#resets.queues(group, topic).get(queueId);
    if (offset !== undefined) this.#resets.delete(group, topic, queueId);
    return offset;
  }

  /** Stores an offset; false if it is a new one and there are too many. */
  commit(group: string, topic: string, queueId: number, offset: number): boolean {
    this.#persistIfDue();
    if (this.#live.size >= this.#most && !this.#live.queues(group, topic).has(queueId)) return false;
    this.#live.set(group, topic, queueId, offset);
    if (this.#interval === 0) this.#persisted.set(group, topic, queueId, offset);
    else this.#unpersisted.set(group, topic, queueId, offset);
    return true;
  }

  /** Persists all offsets. */
  persist(): void {
    this.#persisted.addAll(this.#unpersisted);
    this.#unpersisted = new OffsetTable();
  }

  /** Discards the offsets that are not persisted. */
  revert(): void {
    this.#persistIfDue();
    this.#unpersisted = new OffsetTable();
    this.#resets = new OffsetTable();
    this.#live = this.#persisted.copy();
  }

  #persistIfDue(): void {
    const now = Date.now();
    if (this.#interval === 0 || now < this.#nextPersist) return;
    this.persist();
    this.#nextPersist = now + this.#interval - (now - this.#nextPersist) % this.#interval;
  }
}
