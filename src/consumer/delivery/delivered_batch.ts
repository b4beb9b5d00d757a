/**
 * Messages in somebody's hands: which of them are settled, and whether settling them counts.
 *
 * @module
 */

import { ConsumerStateError } from "../../errors.ts";
import type { Message } from "../../message.ts";
import type { Placed } from "../../placed_list.ts";
import type { DeliveryOutcome } from "../../telemetry/consumer_observer.ts";

/**
 * When failed messages are redelivered.
 *
 * @category Settle
 */
export interface RetryOptions {
  /**
   * For messages that are sent back, in concurrent consumption: the broker's delay level, 1 to 18 with Java's defaults:
   * 1 s, 5 s, 10 s, 30 s, 1 m, 2 m … 2 h.
   *
   * @default {3 plus the times it came back: 10 s, 30 s, 1 m, …}
   */
  delayLevel?: number;
  /**
   * For messages that stay in their place, in milliseconds: 10 to 30 000 in orderly and by-key consumption, 1 000 to
   * 7 200 000 with POP.
   *
   * @default {`suspendQueue`; POP: 10 s, 30 s, 1 m, … by the times it came back}
   */
  delay?: number;
}

/** What becomes of the messages of batches of one kind. */
export interface SettlementRules<T, B> {
  /** Settles one message, or all that nobody has settled. */
  ack(batch: B, message?: Message<T>): Promise<void>;
  /** Has messages redelivered later; resolves when they are safe at a broker or here, or no longer ours. */
  retry(batch: B, message: Message<T> | undefined, options: RetryOptions): Promise<void>;
  /** Moves messages to the dead letter queue; resolves when they are safe there or here, or no longer ours. */
  deadLetter(batch: B, message: Message<T> | undefined): Promise<void>;
  /** Releases what nobody has settled. */
  release(batch: B): void;
  /** A handler has failed: an event reports it, and what nobody has settled is redelivered. */
  fail(batch: B, error: unknown): Promise<void>;
  /** Settlements of a batch no longer count. */
  voided?(batch: B): void;
}

/** How messages ended. */
export type Outcome = DeliveryOutcome;

/** A batch as far as it is looked at. */
export interface ObservedBatch<T = unknown> {
  /** Its messages. */
  readonly messages: readonly Message<T>[];
  /** How many there are. */
  readonly length: number;
  /** When it was delivered, by the monotonic clock. */
  readonly deliveredAt: number;
  /** Their topic. */
  readonly topic: string;
  /** Where its figures are counted: what comes back counts for the retry topic. */
  readonly sourceTopic: string;
}

/** Called with batches: for statistics and traces. */
export interface SettlementObserver<T = unknown> {
  /** A batch is delivered. */
  delivered(batch: ObservedBatch<T>): void;
  /** Some messages of it, or all, have ended so. */
  ended(batch: ObservedBatch<T>, outcome: Outcome, messages: readonly Message<T>[], error?: unknown): void;
}

/** What `ack()` of a pulled batch returns: it is recorded at once, and nobody has to wait. */
export const SETTLED: Promise<void> = Promise.resolve();

const noReason = "the messages are no longer this member's";

/** A batch in flight: knows which of its messages somebody has settled, and leaves the how to its rules. */
export abstract class DeliveredBatch<T, M extends Message<T> = Message<T>> implements Placed {
  readonly messages: readonly M[];
  /** Where it stands among what its settlement has in flight. */
  place = -1;
  /** When it was delivered, by the monotonic clock. */
  readonly deliveredAt: number = performance.now();
  /** The topic of its messages. */
  abstract readonly topic: string;
  /** Where their figures are counted: what is redelivered counts for the retry topic. */
  abstract readonly sourceTopic: string;
  protected abstract readonly rules: SettlementRules<T, this>;
  /** Which messages have been settled; made when some are and some are not. */
  #claimed: Uint8Array | undefined;
  #unclaimed: number;
  #abort: AbortController | undefined;
  #abortReason: unknown;

  constructor(messages: readonly M[]) {
    this.messages = messages;
    this.#unclaimed = messages.length;
  }

  get length(): number {
    return this.messages.length;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#abortReason !== undefined) this.#abort.abort(this.#abortReason);
    }
    return this.#abort.signal;
  }

  [Symbol.iterator](): Iterator<M> {
    return this.messages[Symbol.iterator]();
  }

  /** What cannot be settled is a rejection, never a throw. */
  ack(message?: Message<T>): Promise<void> {
    try {
      return this.rules.ack(this, message);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async retry(target?: Message<T> | RetryOptions, options?: RetryOptions): Promise<void> {
    const isMessage = target !== undefined && "queueOffset" in target;
    const message = isMessage ? target : undefined;
    await this.rules.retry(this, message, (isMessage ? options : target) ?? {});
  }

  async deadLetter(message?: Message<T>): Promise<void> {
    await this.rules.deadLetter(this, message);
  }

  release(): void {
    this.rules.release(this);
  }

  /** A handler has failed: an event reports it, and what nobody has settled is redelivered. */
  fail(error: unknown): Promise<void> {
    return this.rules.fail(this, error);
  }

  /** Whether all of it is settled. */
  get isClaimed(): boolean {
    return this.#unclaimed === 0;
  }

  /** Whether nobody has settled any of it. */
  get isUntouched(): boolean {
    return this.#unclaimed === this.messages.length;
  }

  /** Marks all as settled; the caller settles them. */
  claimAll(): void {
    this.#unclaimed = 0;
  }

  /** Marks one message, or all that are not settled yet, as settled: returns their positions in the batch. */
  claim(message?: Message<T>): number[] {
    if (message === undefined) return this.claimWhere(() => true);
    const wanted = this.positionOf(message);
    return this.claimWhere((at) => at === wanted);
  }

  /** Marks those not settled yet of some positions as settled: returns them. */
  claimWhere(isWanted: (at: number) => boolean): number[] {
    const claimed: number[] = [];
    if (this.#unclaimed === 0) return claimed;
    this.#claimed ??= new Uint8Array(this.messages.length);
    for (let at = 0; at < this.messages.length; at++) {
      if (this.#claimed[at] === 1 || !isWanted(at)) continue;
      this.#claimed[at] = 1;
      this.#unclaimed--;
      claimed.push(at);
    }
    return claimed;
  }

  /** Whether nobody has settled a message of it. */
  isUnsettled(message: Message<T>): boolean {
    return this.#unclaimed > 0 && this.#claimed?.[this.positionOf(message)] !== 1;
  }

  /** The positions that nobody has settled. */
  unclaimed(): number[] {
    if (this.#unclaimed === 0) return [];
    return [...this.messages.keys()].filter((at) => this.#claimed?.[at] !== 1);
  }

  /** Aborts its signal: settlements no longer count. */
  abort(reason: string = noReason): void {
    this.#abortReason = new ConsumerStateError(`Cannot settle this batch any more: ${reason}`, {
      code: "BATCH_VOID",
    });
    this.#abort?.abort(this.#abortReason);
  }

  /** Where a message stands in the batch. */
  positionOf(message: Message<T>): number {
    const at = this.messages.indexOf(message as M);
    if (at >= 0) return at;
    throw new ConsumerStateError(
      `Cannot settle message ${message.messageId}: it is not in this batch; settle it by the batch that held it`,
      { code: "NOT_IN_BATCH" },
    );
  }
}
