/**
 * The methods of Deno KV that are used, so that another implementation can replace it.
 *
 * @module
 */

/**
 * A key: its parts from the outermost to the innermost.
 *
 * @category Advanced
 */
export type KvKeyLike = readonly (string | number)[];

/**
 * What is stored under a key; nothing if the version is null.
 *
 * @category Advanced
 */
export interface KvEntryLike {
  /** The key, with parts of any type. */
  readonly key: readonly unknown[];
  /** The value. */
  readonly value: unknown;
  /** A text that changes with every write of the key. */
  readonly versionstamp: string | null;
}

/**
 * Writes that are done together or not at all.
 *
 * @category Advanced
 */
export interface KvAtomicLike {
  /** Makes the write fail unless a key has this version. */
  check(check: { key: KvKeyLike; versionstamp: string | null }): KvAtomicLike;
  /** Writes a value. */
  set(key: KvKeyLike, value: unknown): KvAtomicLike;
  /** Removes a key. */
  delete(key: KvKeyLike): KvAtomicLike;
  /** Does the write; `ok` is false if a check failed. */
  commit(): Promise<{ ok: true; versionstamp: string } | { ok: false }>;
}

/**
 * A `Deno.Kv`, or an object with the same methods.
 *
 * @category Advanced
 */
export interface KvLike {
  /** Reads a key. */
  get(key: KvKeyLike): Promise<KvEntryLike>;
  /** Reads all keys with a prefix. */
  list(selector: { prefix: KvKeyLike }, options: { batchSize: number }): AsyncIterable<KvEntryLike>;
  /** Starts an atomic write. */
  atomic(): KvAtomicLike;
  /** Closes it. */
  close(): void;
}
