/**
 * Offsets in Deno KV.
 *
 * | key, after the prefix | value |
 * |---|---|
 * | group, instance | `{ version: 1, owner, renewals, timeout }`: the lease: the member that owns the offsets |
 * | group, instance, topic, broker, number of the queue | `{ version: 1, offset }` |
 *
 * The keys hold nothing else, because their bytes limit how many offsets are written together.
 *
 * Every write checks the lease in the same atomic step: a member that was suspended until its lease expired writes
 * nothing when it resumes.
 *
 * @module
 */

import { OffsetError, OffsetFetchError } from "../errors.ts";
import { compareQueues, type MessageQueue, queueKey } from "../message.ts";
import { OptionsCheck } from "../options.ts";
import { inBackground, unheard } from "../owned_work.ts";
import { whenFree } from "./kv_busy.ts";
import { KvLease } from "./kv_lease.ts";
import type { KvKeyLike, KvLike } from "./kv_like.ts";
import { Lease, taken } from "./lease.ts";
import { LocalOffsetStore } from "./local.ts";
import { checkLocalStore, checkPath, localStoreNames, type LocalStoreOptions } from "./options.ts";
import { isOffset, type OffsetStore, type QueueOffset } from "./store.ts";
import { type StoredOffset, StoredOffsets } from "./stored_offsets.ts";

/** The version of the values that are written. */
const VERSION = 1;
/** The limits of one atomic write: 1 000 mutations, and 81 920 bytes of keys, that of the lease included. */
const MAX_MUTATIONS = 1_000;
const MAX_KEY_BYTES = 79_000;
/** The bytes around a text in a key, and those of a number. */
const TEXT_FRAME = 2;
const NUMBER_BYTES = 9;
/** Keys have to be shorter than 2 048 bytes, with names that have limits of their own. */
const MAX_PREFIX_LENGTH = 512;

/**
 * Options of {@linkcode KvOffsetStore}.
 *
 * @category Advanced
 */
export interface KvOffsetStoreOptions extends LocalStoreOptions {
  /** A database that is open, and that stays so. Without one the store opens and closes its own. */
  kv?: KvLike;
  /** The path of the database that the store opens; without one it is Deno's default for this program. */
  path?: string;
  /**
   * The first parts of all keys, for databases that hold other things as well.
   *
   * @default {["rocketmq"]}
   */
  prefix?: readonly string[];
}

type CheckedOptions =
  & Required<LocalStoreOptions>
  & Pick<KvOffsetStoreOptions, "kv" | "path">
  & { readonly prefix: KvKeyLike };

/**
 * Keeps offsets in Deno KV, for one member: no other member writes them while the store is open.
 *
 * Members with another `group` or `instance` may use the same database, in this process or in others. Needs
 * `"unstable": ["kv"]` in `deno.json`, or `--unstable-kv`; or a `kv` that was opened elsewhere.
 *
 * @category Advanced
 */
export class KvOffsetStore extends LocalOffsetStore {
  /**
   * Makes a store that is not open yet.
   *
   * @throws {ConfigError} naming every problem
   */
  constructor(options: KvOffsetStoreOptions) {
    super("kv", new KvOffsets(checkOptions(options)));
  }
}

/** Whether this runtime can open a KV database. */
export function hasDenoKv(): boolean {
  return typeof Deno !== "undefined" && typeof Deno.openKv === "function";
}

/** Whether a permission is granted, without a prompt. Runtimes without permissions grant everything. */
export function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return typeof Deno === "undefined" || Deno.permissions.querySync(permission).state === "granted";
}

class KvOffsets implements OffsetStore {
  #options: CheckedOptions;
  #root: KvKeyLike;
  #kv: KvLike | undefined;
  #place: KvLease | undefined;
  #lease: Lease | undefined;
  #stored = new StoredOffsets();
  /** Queues whose last write failed: it may be stored all the same, so that reads go to the database. */
  #uncertain = new Set<string>();

  constructor(options: CheckedOptions) {
    this.#options = options;
    this.#root = [...options.prefix, options.group, options.instance];
  }

  async open(signal: AbortSignal): Promise<void> {
    const { kv = await openKv(this.#options.path), leaseTimeout } = this.#options;
    this.#kv = kv;
    try {
      this.#place = new KvLease(kv, this.#root, leaseTimeout);
      const lease = new Lease(this.#place, this.#options, leaseTimeout);
      await lease.acquire(signal);
      this.#lease = lease;
      this.#stored.set(await whenFree(() => this.#load(kv)));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async read(queue: MessageQueue): Promise<number | undefined> {
    if (!this.#uncertain.has(queueKey(queue))) return this.#stored.read(queue);
    const { key, value, versionstamp } = await whenFree(() => this.#kv!.get(this.#keyOf(queue)));
    const stored = new StoredOffsets();
    if (versionstamp !== null) stored.set([read(key.slice(this.#root.length), value)]);
    return stored.read(queue);
  }

  /** Prepares the next atomic write while the database does one: both take about as long. */
  async write(offsets: readonly QueueOffset[]): Promise<void> {
    let last: Promise<void> = Promise.resolve();
    for (const batch of this.#batches(offsets)) {
      const before = last;
      last = this.#writeBatch(batch);
      inBackground(last, unheard); // it is awaited later, and may fail before
      try {
        await before;
      } catch (error) {
        await last.catch(unheard); // no write goes on after the failure is reported
        throw error;
      }
    }
    await last;
  }

  async close(): Promise<void> {
    try {
      await this.#lease?.release();
    } finally {
      this.#lease = undefined;
      if (this.#options.kv === undefined) this.#kv?.close();
      this.#kv = undefined;
    }
  }

  async #load(kv: KvLike): Promise<StoredOffset[]> {
    const offsets: StoredOffset[] = [];
    for await (const { key, value } of kv.list({ prefix: this.#root }, { batchSize: 1_000 })) {
      offsets.push(read(key.slice(this.#root.length), value));
    }
    return offsets;
  }

  async #writeBatch(batch: readonly QueueOffset[]): Promise<void> {
    try {
      const written = await this.#place?.write((atomic) => {
        for (const { queue, offset } of batch) atomic.set(this.#keyOf(queue), { version: VERSION, offset });
      });
      if (written === undefined) throw taken(this.#options);
    } catch (error) {
      for (const { queue } of batch) this.#uncertain.add(queueKey(queue));
      throw error;
    }
    this.#stored.set(batch);
    for (const { queue } of batch) this.#uncertain.delete(queueKey(queue));
  }

  /** Divides offsets into atomic writes, in the order of their keys: so each touches few pages of the disk. */
  *#batches(changes: readonly QueueOffset[]): Generator<readonly QueueOffset[]> {
    const rootBytes = this.#root.reduce((sum: number, part) => sum + bytesOf(`${part}`), 0);
    let batch: QueueOffset[] = [];
    let bytes = 0;
    for (const change of changes.toSorted((a, b) => compareQueues(a.queue, b.queue))) {
      const size = rootBytes + bytesOf(change.queue.topic) + bytesOf(change.queue.broker) + NUMBER_BYTES;
      if (batch.length === MAX_MUTATIONS || (batch.length > 0 && bytes + size > MAX_KEY_BYTES)) {
        yield batch;
        [batch, bytes] = [[], 0];
      }
      batch.push(change);
      bytes += size;
    }
    yield batch;
  }

  #keyOf({ topic, broker, queueId }: MessageQueue): KvKeyLike {
    return [...this.#root, topic, broker, queueId];
  }
}

async function openKv(path: string | undefined): Promise<KvLike> {
  if (hasDenoKv()) return await whenFree(() => Deno.openKv(path));
  throw new OffsetError(
    'Cannot open the offsets: this runtime has no KV; put "unstable": ["kv"] into deno.json, run it with ' +
      "--unstable-kv, or pass an open kv",
    { code: "OFFSETS_UNAVAILABLE" },
  );
}

/** Reads what is stored under a key; what is not understood is a problem of its queue, and never "no offset". */
function read(key: readonly unknown[], value: unknown): StoredOffset {
  const [topic, broker, queueId] = key;
  if (key.length !== 3 || typeof topic !== "string" || typeof broker !== "string" || typeof queueId !== "number") {
    const message = `Cannot read the offsets: the key ${key.join(" ")} names no queue`;
    throw new OffsetFetchError(message, { code: "OFFSETS_MALFORMED" });
  }
  const queue = { topic, broker, queueId };
  const { version, offset } = (value ?? {}) as { version?: unknown; offset?: unknown };
  if (version !== VERSION) return { queue, offset: undefined, problem: `its value has the version ${version}` };
  return isOffset(offset) ? { queue, offset } : { queue, offset: undefined, problem: `its value holds ${offset}` };
}

const encoder = new TextEncoder();

/** The bytes of a text in a key. */
function bytesOf(text: string): number {
  return encoder.encode(text).length + TEXT_FRAME;
}

function checkOptions(options: KvOffsetStoreOptions): CheckedOptions {
  const check = new OptionsCheck("create an offset store in KV");
  check.known(options, [...localStoreNames, "kv", "path", "prefix"]);
  const checked = checkLocalStore(check, options);
  const { kv, path, prefix = ["rocketmq"] } = options;
  checkKv(check, kv, path);
  check.shape("prefix", prefix, `an array of texts, ${MAX_PREFIX_LENGTH} characters in all`, isPrefix);
  check.done();
  return { ...checked, prefix, ...(kv === undefined ? {} : { kv }), ...(path === undefined ? {} : { path }) };
}

/** Checks a database, or the path of one. */
export function checkKv(check: OptionsCheck, kv: unknown, path: unknown): void {
  check.shape("kv", kv, "an open Deno.Kv, or an object with its methods", isKv);
  if (kv === undefined) checkPath(check, path);
  else check.shape("path", path, "nothing, as there is a kv", () => false);
}

function isKv(value: unknown): boolean {
  const kv = (value ?? {}) as Record<string, unknown>;
  return ["get", "list", "atomic", "close"].every((name) => typeof kv[name] === "function");
}

function isPrefix(value: unknown): boolean {
  return Array.isArray(value) && value.every((part) => typeof part === "string") &&
    value.join("").length <= MAX_PREFIX_LENGTH;
}
