/** Offset stores for tests, of every kind, each in a place of its own that goes with the test. */

import { join } from "@std/path";
import { FileOffsetStore } from "../../src/offsets/file.ts";
import { KvOffsetStore } from "../../src/offsets/kv.ts";
import type { KvAtomicLike, KvKeyLike, KvLike } from "../../src/offsets/kv_like.ts";
import type { LocalOffsetStore, OffsetStoreKind } from "../../src/offsets/local.ts";
import { MemoryOffsetStore } from "../../src/offsets/memory.ts";

/** Where stores may be: a folder of the test. */
export class Place {
  readonly folder: string;
  readonly kvPath: string;

  static async make(): Promise<Place> {
    return new Place(await Deno.makeTempDir({ prefix: "offsets-" }));
  }

  private constructor(folder: string) {
    this.folder = folder;
    this.kvPath = join(folder, "offsets.sqlite");
  }

  /** A store of the group "billing" that is not open yet. */
  store(kind: OffsetStoreKind, options: { instance?: string; leaseTimeout?: number } = {}): LocalOffsetStore {
    switch (kind) {
      case "kv":
        return new KvOffsetStore({ group: "billing", path: this.kvPath, ...options });
      case "file":
        return new FileOffsetStore({ group: "billing", path: this.folder, ...options });
      case "memory":
        return new MemoryOffsetStore();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** A KV that hands on to a real one, and can fail, count, or do something before a write. */
export class WatchedKv implements KvLike {
  /** How many mutations each atomic write had that succeeded. */
  readonly commits: number[] = [];
  /** Called before every atomic write; what it throws is the write's failure. */
  onCommit: () => Promise<void> | void = () => {};
  isClosed = false;
  #kv: Deno.Kv;

  constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  get(key: KvKeyLike) {
    return this.#kv.get(key);
  }

  list(selector: { prefix: KvKeyLike }, options: { batchSize: number }) {
    return this.#kv.list(selector, options);
  }

  atomic(): KvAtomicLike {
    const atomic = this.#kv.atomic();
    let mutations = 0;
    const watched: KvAtomicLike = {
      check: (check) => (atomic.check(check), watched),
      set: (key, value) => (mutations++, atomic.set(key, value), watched),
      delete: (key) => (mutations++, atomic.delete(key), watched),
      commit: async () => {
        await this.onCommit();
        const result = await atomic.commit();
        if (result.ok) this.commits.push(mutations);
        return result;
      },
    };
    return watched;
  }

  /** An atomic write that is another program's. */
  atomicUnwatched(): KvAtomicLike {
    return this.#kv.atomic();
  }

  close(): void {
    this.isClosed = true;
  }

  /** Everything that is in it, by key. */
  async all(): Promise<Deno.KvEntry<unknown>[]> {
    return await Array.fromAsync(this.#kv.list({ prefix: [] }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve(this.#kv.close());
  }
}

/** A KV in memory. */
export async function watchedKv(): Promise<WatchedKv> {
  return new WatchedKv(await Deno.openKv(":memory:"));
}
