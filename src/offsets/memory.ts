/**
 * Offsets that nothing keeps.
 *
 * @module
 */

import { LocalOffsetStore, type OffsetBackend } from "./local.ts";
import type { QueueOffset, StoredOffset } from "./table.ts";

/** Keeps offsets as long as the program runs: for tests, and for where nothing can be kept. */
export class MemoryOffsetStore extends LocalOffsetStore {
  /** Makes a store without any offset. */
  constructor() {
    super(new MemoryBackend());
  }
}

/** Writes nowhere: the store itself remembers what was written. */
class MemoryBackend implements OffsetBackend {
  readonly kind = "memory";

  open(): Promise<StoredOffset[]> {
    return Promise.resolve([]);
  }

  async *write(changes: readonly QueueOffset[]): AsyncGenerator<readonly QueueOffset[]> {
    yield await Promise.resolve(changes);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
