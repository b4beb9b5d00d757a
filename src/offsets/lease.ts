/**
 * Exclusive use of offsets: two members that write the same ones would each skip messages that only the other has seen.
 *
 * @module
 */

import { OffsetError } from "../errors.ts";
import { delay } from "../waiting.ts";
import { inBackground, unheard } from "../owned_work.ts";

/** When a lease expires that is not renewed, by default, in milliseconds. */
export const LEASE_TIMEOUT = 3_000;
/** The longest timeout of a lease, in milliseconds; a record with a longer one counts as this. */
export const MAX_LEASE_TIMEOUT = 60_000;

/** How often a lease is renewed within its timeout. */
const RENEWALS = 3;
/** How often other members read it within its timeout, and the longest time between two reads, in milliseconds. */
const READS = 10;
const MAX_PAUSE = 250;

/** The offsets that two members must not share. */
export interface LeaseSubject {
  /** The group. */
  readonly group: string;
  /** Distinguishes members of the group in one place. */
  readonly instance: string;
}

/** Another member's lease, as it was read. */
export interface SeenLease {
  /** A text that changes with every renewal. */
  readonly mark: string;
  /** When it expires without a renewal, as its owner has recorded, in milliseconds. */
  readonly timeout: number;
}

/** Where the record of a lease is stored, for one member. */
export interface LeasePlace {
  /** Reads the record; undefined if the lease is free. */
  read(): Promise<SeenLease | undefined>;
  /** Stores this member's record, in one step, if the stored one is still the one that was read; else returns false. */
  acquire(seen: SeenLease | undefined): Promise<boolean>;
  /** Renews the lease; returns false if another member has it by now. */
  renew(): Promise<boolean>;
  /** Removes this member's record, if it is still stored. */
  release(): Promise<void>;
}

/** A random id of a member. */
export function newOwner(): string {
  return crypto.randomUUID();
}

/**
 * A lease: acquired when it is free or has expired, and renewed by a timer from then on.
 *
 * Times are measured by this machine's monotonic clock: the clocks of other machines do not matter.
 */
export class Lease {
  #place: LeasePlace;
  #subject: LeaseSubject;
  #timeout: number;
  #timer: ReturnType<typeof setInterval> | undefined;
  #renewing: Promise<void> | undefined;

  /** Makes a lease that is not acquired yet; it expires `timeout` milliseconds after its last renewal. */
  constructor(place: LeasePlace, subject: LeaseSubject, timeout: number) {
    this.#place = place;
    this.#subject = subject;
    this.#timeout = timeout;
  }

  /**
   * Acquires it: at once if it is free; if another member has it, when it has expired.
   *
   * @throws {OffsetError} `OFFSETS_IN_USE` if it is renewed meanwhile
   */
  async acquire(signal: AbortSignal): Promise<void> {
    for (let isTaken = false; !isTaken;) {
      const seen = await this.#place.read();
      const free = seen === undefined ? undefined : await this.#waitForExpiry(seen, signal);
      isTaken = await this.#place.acquire(free);
      if (!isTaken && free !== undefined) throw inUse(this.#subject); // another member that waited was faster
    }
    this.#timer = setInterval(() => inBackground(this.#renewing ??= this.#renew(), unheard), this.#timeout / RENEWALS);
  }

  /** Releases it. */
  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewing;
    await this.#place.release().catch(() => {}); // it expires by itself
  }

  /** Waits until a lease has expired; returns what to replace then. */
  async #waitForExpiry(seen: SeenLease, signal: AbortSignal): Promise<SeenLease | undefined> {
    const life = Math.max(this.#timeout, Math.min(seen.timeout, MAX_LEASE_TIMEOUT));
    const start = performance.now();
    for (let left = life; left > 0; left = life - (performance.now() - start)) {
      await delay(Math.min(left, life / READS, MAX_PAUSE), { signal });
      const now = await this.#place.read();
      if (now === undefined) return undefined;
      if (now.mark !== seen.mark) throw inUse(this.#subject);
    }
    return seen;
  }

  async #renew(): Promise<void> {
    try {
      if (!await this.#place.renew()) clearInterval(this.#timer); // the next write fails and reports it
    } catch {
      // The next one is soon. If none succeeds, another member may acquire the lease, which the next write reports.
    } finally {
      this.#renewing = undefined;
    }
  }
}

/** The error for a lease that another live member has. */
function inUse({ group, instance }: LeaseSubject): OffsetError {
  return new OffsetError(
    `Cannot open the offsets of group "${group}", instance "${instance}": another live member uses them; ` +
      `close it, or set another "instance" for this one`,
    { code: "OFFSETS_IN_USE" },
  );
}

/** The error for a lease that another member has by now: what this one has not written is never written. */
export function taken({ group, instance }: LeaseSubject): OffsetError {
  return new OffsetError(
    `Cannot store the offsets of group "${group}", instance "${instance}": another member has taken them over, as ` +
      `the lease of this one expired; close this one, or set another "instance" for it`,
    { code: "OFFSETS_TAKEN" },
  );
}
