/**
 * Having offsets for oneself: two members that wrote the same ones would each lose what the other has done.
 *
 * @module
 */

import { OffsetError } from "../errors.ts";
import { delay } from "../waiting.ts";
import { inBackground, unheard } from "../owned_work.ts";

/** How long a lease lives that is not renewed, unless something else is said, in milliseconds. */
export const LEASE_TIMEOUT = 3_000;
/** The longest that any lease lives; a record that says more is not believed. */
export const MAX_LEASE_TIMEOUT = 60_000;

/** How often a lease is renewed while it could run out once. */
const RENEWALS = 3;
/** How often others look at it meanwhile, and the longest time between two looks, in milliseconds. */
const LOOKS = 10;
const MAX_PAUSE = 250;

/** What two members must not share. */
export interface LeaseSubject {
  /** The group. */
  readonly group: string;
  /** What tells members of the group apart on one place. */
  readonly instance: string;
}

/** Another member's lease, as it was seen. */
export interface SeenLease {
  /** A text that is another one after every renewal. */
  readonly mark: string;
  /** How long it lives without one, by the word of its owner, in milliseconds. */
  readonly timeout: number;
}

/** Where a lease is written down, for one member. */
export interface LeasePlace {
  /** What stands there; undefined if that is nobody's lease. */
  look(): Promise<SeenLease | undefined>;
  /** Puts the member's own there, in one step, if that is still what was seen; false if it is not. */
  take(seen: SeenLease | undefined): Promise<boolean>;
  /** Shows that the member lives; false if the lease is no longer its own. */
  renew(): Promise<boolean>;
  /** Takes the member's own away, if it is still there. */
  release(): Promise<void>;
}

/** A member's random name. */
export function newOwner(): string {
  return crypto.randomUUID();
}

/**
 * A lease: taken when it is free or has not been renewed for its life, and renewed by a timer from then on.
 *
 * Times are measured here, by a clock that nobody sets: what another machine thinks the time is does not matter.
 */
export class Lease {
  #place: LeasePlace;
  #subject: LeaseSubject;
  #timeout: number;
  #timer: ReturnType<typeof setInterval> | undefined;
  #renewing: Promise<void> | undefined;

  /** Makes a lease that is not taken yet; `timeout` is its life without a renewal, in milliseconds. */
  constructor(place: LeasePlace, subject: LeaseSubject, timeout: number) {
    this.#place = place;
    this.#subject = subject;
    this.#timeout = timeout;
  }

  /**
   * Takes it, at once if it is free; if it is another's, when that has not been renewed for its life.
   *
   * @throws {OffsetError} `OFFSETS_IN_USE` if it is renewed meanwhile
   */
  async take(signal: AbortSignal): Promise<void> {
    for (let isTaken = false; !isTaken;) {
      const seen = await this.#place.look();
      const free = seen === undefined ? undefined : await this.#outlive(seen, signal);
      isTaken = await this.#place.take(free);
      if (!isTaken && free !== undefined) throw inUse(this.#subject); // somebody who waited as well was quicker
    }
    this.#timer = setInterval(() => inBackground(this.#renewing ??= this.#renew(), unheard), this.#timeout / RENEWALS);
  }

  /** Gives it up. */
  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewing;
    await this.#place.release().catch(() => {}); // it runs out by itself
  }

  /** Waits until a lease has run out; gives what to take then. */
  async #outlive(seen: SeenLease, signal: AbortSignal): Promise<SeenLease | undefined> {
    const life = Math.max(this.#timeout, Math.min(seen.timeout, MAX_LEASE_TIMEOUT));
    const start = performance.now();
    for (let left = life; left > 0; left = life - (performance.now() - start)) {
      await delay(Math.min(left, life / LOOKS, MAX_PAUSE), { signal });
      const now = await this.#place.look();
      if (now === undefined) return undefined;
      if (now.mark !== seen.mark) throw inUse(this.#subject);
    }
    return seen;
  }

  async #renew(): Promise<void> {
    try {
      if (!await this.#place.renew()) clearInterval(this.#timer); // whoever writes finds out as well
    } catch {
      // The next one is soon. If none succeeds, another member may take the lease, which a write then notices.
    } finally {
      this.#renewing = undefined;
    }
  }
}

/** Another live member has the lease. */
function inUse({ group, instance }: LeaseSubject): OffsetError {
  return new OffsetError(
    `Cannot open the offsets of group "${group}", instance "${instance}": another live member uses them; ` +
      `close it, or give this one another "instance"`,
    { code: "OFFSETS_IN_USE" },
  );
}

/** The lease is another member's by now: what this one has not written never will be. */
export function taken({ group, instance }: LeaseSubject): OffsetError {
  return new OffsetError(
    `Cannot store the offsets of group "${group}", instance "${instance}": another member has taken them, as this ` +
      `one seemed dead; close this one, or give it another "instance"`,
    { code: "OFFSETS_TAKEN" },
  );
}
