/**
 * Offsets that end with the program.
 *
 * @module
 */

import type { MessageQueue } from "../message.ts";
import { LocalOffsetStore } from "./local.ts";
import type { OffsetStore, QueueOffset } from "./store.ts";
import { StoredOffsets } from "./stored_offsets.ts";

/**
 * Keeps offsets as long as the program runs: for tests, and for where nothing can be kept.
 *
 * @category Advanced
 */
export class MemoryOffsetStore extends LocalOffsetStore {
  /** Makes a store without any offset. */
  constructor() {
    super("memory", new MemoryOffsets());
  }
}

class MemoryOffsets implements OffsetStore {
  #stored = new StoredOffsets();

  /** Nothing to do: it is here, so that a store in memory has to be opened as all others. */
  open(): void {}

  read(queue: MessageQueue): number | undefined {
    return this.#stored.read(queue);
  }

  write(offsets: readonly QueueOffset[]): void {
    this.#stored.set(offsets);
  }

  close(): void {}
}
