/**
 * What is needed of Deno KV, so that anything that can do the same may stand in for it.
 *
 * @module
 */

/** A key: its parts from the outermost to the innermost. */
export type KvKeyLike = readonly (string | number)[];

/** What is stored under a key; nothing is if the version is null. */
export interface KvEntryLike {
  /** The key, with parts of any type. */
  readonly key: readonly unknown[];
  /** The value. */
  readonly value: unknown;
  /** A text that is another one after every write of the key. */
  readonly versionstamp: string | null;
}

/** Writes that happen together or not at all. */
export interface KvAtomicLike {
  /** Has nothing happen unless a key has this version. */
  check(check: { key: KvKeyLike; versionstamp: string | null }): KvAtomicLike;
  /** Writes a value. */
  set(key: KvKeyLike, value: unknown): KvAtomicLike;
  /** Removes a key. */
  delete(key: KvKeyLike): KvAtomicLike;
  /** Does it; `ok` is false if a check did not hold. */
  commit(): Promise<{ ok: true; versionstamp: string } | { ok: false }>;
}

/** A `Deno.Kv`, or what does the same: `@denorocket/rocketmq` needs no more of it. */
export interface KvLike {
  /** Reads a key. */
  get(key: KvKeyLike): Promise<KvEntryLike>;
  /** Reads all keys that begin like this. */
  list(selector: { prefix: KvKeyLike }, options: { batchSize: number }): AsyncIterable<KvEntryLike>;
  /** Begins an atomic write. */
  atomic(): KvAtomicLike;
  /** Closes it. */
  close(): void;
}
