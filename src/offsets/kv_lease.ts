/**
 * Leases in Deno KV.
 *
 * @module
 */

import { OffsetFetchError } from "../errors.ts";
import { whenFree } from "./kv_busy.ts";
import type { KvAtomicLike, KvKeyLike, KvLike } from "./kv_like.ts";
import { type LeasePlace, newOwner, type SeenLease } from "./lease.ts";

/** The version of the record that is written. */
const VERSION = 1;

interface LeaseRecord {
  readonly version: typeof VERSION;
  readonly owner: string;
  /** How often it was renewed: not used here, but it shows in the database that the owner is alive. */
  readonly renewals: number;
  readonly timeout: number;
}

/** A lease under a key of KV. What only its owner may write is written together with a check of the lease. */
export class KvLease implements LeasePlace {
  #kv: KvLike;
  #key: KvKeyLike;
  #timeout: number;
  #owner = newOwner();
  #renewals = 0;
  /** The version of this member's record, as far as known. */
  #versionstamp: string | null = null;

  /** Makes a lease that expires `timeout` milliseconds after its last renewal. */
  constructor(kv: KvLike, key: KvKeyLike, timeout: number) {
    this.#kv = kv;
    this.#key = key;
    this.#timeout = timeout;
  }

  /** Reads the record. */
  async read(): Promise<SeenLease | undefined> {
    const { value, versionstamp } = await whenFree(() => this.#kv.get(this.#key));
    if (versionstamp === null) return undefined;
    if (!isLease(value)) {
      const message = `Cannot open the offsets: the lease under ${JSON.stringify(this.#key)} is of an unknown form`;
      throw new OffsetFetchError(message, { code: "OFFSETS_MALFORMED" });
    }
    return { mark: versionstamp, timeout: value.timeout };
  }

  /** Writes this member's record over the one that was read. */
  async acquire(seen: SeenLease | undefined): Promise<boolean> {
    const check = { key: this.#key, versionstamp: seen?.mark ?? null };
    const result = await whenFree(() => this.#kv.atomic().check(check).set(this.#key, this.#record()).commit());
    if (result.ok) this.#versionstamp = result.versionstamp;
    return result.ok;
  }

  /** Writes the record again. */
  async renew(): Promise<boolean> {
    this.#renewals++;
    const versionstamp = await this.write((atomic) => atomic.set(this.#key, this.#record()));
    if (versionstamp !== undefined) this.#versionstamp = versionstamp;
    return versionstamp !== undefined;
  }

  /** Deletes the record. */
  async release(): Promise<void> {
    await this.write((atomic) => atomic.delete(this.#key));
  }

  /**
   * Writes in one step if this member has the lease; returns the version of what was written, undefined if it has not.
   *
   * @param fill adds the writes; called again for another attempt
   */
  async write(fill: (atomic: KvAtomicLike) => void): Promise<string | undefined> {
    do {
      const result = await whenFree(() => {
        const atomic = this.#kv.atomic().check({ key: this.#key, versionstamp: this.#versionstamp });
        fill(atomic);
        return atomic.commit();
      });
      if (result.ok) return result.versionstamp;
    } while (await this.#isStillOurs());
    return undefined;
  }

  /** Whether this member has the lease: a renewal may be under way, or its answer was lost. */
  async #isStillOurs(): Promise<boolean> {
    const { value, versionstamp } = await whenFree(() => this.#kv.get(this.#key));
    if (!isLease(value) || value.owner !== this.#owner) return false;
    this.#versionstamp = versionstamp;
    return true;
  }

  #record(): LeaseRecord {
    return { version: VERSION, owner: this.#owner, renewals: this.#renewals, timeout: this.#timeout };
  }
}

function isLease(value: unknown): value is LeaseRecord {
  const { version, owner, timeout } = (value ?? {}) as Partial<LeaseRecord>;
  return version === VERSION && typeof owner === "string" && Number.isFinite(timeout);
}
