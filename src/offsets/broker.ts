/**
 * Offsets kept by the brokers, as groups in clustering do.
 *
 * @module
 */

import { ResponseError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { ResponseCode } from "../wire/codes.ts";
import { OffsetTable } from "./offset_table.ts";
import type { OffsetStore, QueueOffset } from "./store.ts";

/**
 * The requests of brokers about offsets.
 *
 * @category Advanced
 */
export interface OffsetKeeper {
  /** Reads a group's stored offset of a queue; undefined if the broker has none. */
  storedOffset(group: string, queue: MessageQueue): Promise<number | undefined>;
  /** Stores a group's offset of a queue. */
  storeOffset(group: string, queue: MessageQueue, offset: number): Promise<void>;
}

/**
 * Options of {@linkcode BrokerOffsetStore}.
 *
 * @category Advanced
 */
export interface BrokerOffsetStoreOptions {
  /** Sends requests to the brokers. */
  readonly brokers: OffsetKeeper;
  /** The group. */
  readonly group: string;
  /** Registers the group at the brokers: 5.x refuses a commit of a group without a record, with code 26. */
  readonly register: () => Promise<unknown>;
}

/**
 * The offset store of a group in clustering, with its bookkeeping: every commit is a request that is answered, and
 * commits of one queue never overtake each other.
 *
 * @category Advanced
 */
export class BrokerOffsetStore extends OffsetTable {
  #offsets: BrokerOffsets;

  /** Makes a store without any offset in memory; it needs no `open()`. */
  constructor(options: BrokerOffsetStoreOptions) {
    const offsets = new BrokerOffsets(options);
    super(offsets, { perQueue: true });
    this.#offsets = offsets;
  }

  /** Counts the offsets of a broker's queues as not stored: a killed broker forgets its last commits. */
  override invalidate(broker: string): void {
    super.invalidate(broker);
    this.#offsets.invalidate(broker);
  }

  /** Does nothing: brokers keep what they have, and a last commit may be on its way still. */
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Offsets of one group at the brokers. */
class BrokerOffsets implements OffsetStore {
  #options: BrokerOffsetStoreOptions;
  /** The tables that brokers have, and the first commits that are on their way to one. */
  #tables = new Set<string>();
  #firsts = new Map<string, Promise<void>>();

  constructor(options: BrokerOffsetStoreOptions) {
    this.#options = options;
  }

  read(queue: MessageQueue): Promise<number | undefined> {
    return this.#options.brokers.storedOffset(this.#options.group, queue);
  }

  async write(offsets: readonly QueueOffset[]): Promise<void> {
    await Promise.all(offsets.map((each) => this.#afterFirst(each)));
  }

  close(): void {}

  /** A killed broker may have lost its tables. */
  invalidate(broker: string): void {
    for (const table of this.#tables) if (table.endsWith(`@${broker}`)) this.#tables.delete(table);
  }

  /**
   * Lets the first commit of a topic at a broker go alone, and checks that it is there.
   *
   * Brokers make the group's table of a topic without a lock: of first commits that come at once, one table stays, and
   * what the others held is lost, though it was answered with success. Source: ConsumerOffsetManager.
   */
  async #afterFirst(offset: QueueOffset): Promise<void> {
    const { topic, broker } = offset.queue;
    const table = `${topic}@${broker}`;
    while (this.#firsts.has(table)) await this.#firsts.get(table)!.catch(() => {});
    if (this.#tables.has(table)) return await this.#commit(offset);
    const first = this.#commitFirst(offset).finally(() => this.#firsts.delete(table));
    this.#firsts.set(table, first);
    await first;
    this.#tables.add(table);
  }

  async #commitFirst(offset: QueueOffset): Promise<void> {
    await this.#commit(offset);
    const stored = await this.read(offset.queue);
    if (stored !== offset.offset) await this.#commit(offset); // another member's came at the same time
  }

  async #commit({ queue, offset }: QueueOffset): Promise<void> {
    const { brokers, group, register } = this.#options;
    try {
      await brokers.storeOffset(group, queue, offset);
    } catch (error) {
      if (!isUnknownGroup(error)) throw error;
      await register();
      await brokers.storeOffset(group, queue, offset);
    }
  }
}

function isUnknownGroup(error: unknown): boolean {
  return error instanceof ResponseError && error.responseCode === ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST;
}
