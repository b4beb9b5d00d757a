/**
 * One send that shares its request with others.
 *
 * @module
 */

import type { Deadline } from "../sending/deadline.ts";
import type { EncodedMessage } from "./encoding.ts";
import type { Expiring } from "./expiry.ts";
import type { Placement } from "../sending/parcel.ts";
import type { SendReceipt } from "../sending/receipt.ts";

/** A message and the caller who waits for its receipt: by a time of its own, and a signal of its own. */
export class GatheredSend implements Expiring {
  /** The message. */
  readonly message: EncodedMessage;
  /** Where it stands among what expires. */
  place = -1;
  /** Which queue is wanted. */
  readonly placement: Placement;
  /** The caller's time. */
  readonly deadline: Deadline;
  /** Whether it can share a request. */
  readonly fits: boolean;
  /** Whether the request that it is in has been begun. */
  hasBegun = false;
  /** What the caller waits for. */
  readonly receipt: Promise<SendReceipt>;
  #resolve!: (receipt: SendReceipt) => void;
  #reject!: (reason: unknown) => void;
  /** What else has to be done when the caller has what it waited for. */
  #onSettled: (send: GatheredSend) => void;
  #abort: (() => void) | undefined;
  #isSettled = false;

  /** Makes a send; `onSettled` hears when its caller has what it waited for. */
  constructor(
    message: EncodedMessage,
    placement: Placement,
    deadline: Deadline,
    fits: boolean,
    onSettled: (send: GatheredSend) => void,
  ) {
    this.message = message;
    this.placement = placement;
    this.deadline = deadline;
    this.fits = fits;
    this.#onSettled = onSettled;
    this.receipt = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { signal } = deadline;
    if (signal === undefined) return;
    this.#abort = () => this.reject(signal.reason);
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  /** Whether the caller has what it waited for: nothing has to be sent then. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Tells the caller where its message is; the first of what it is told counts. */
  resolve(receipt: SendReceipt): void {
    if (this.#settle()) this.#resolve(receipt);
  }

  /** Tells the caller why its message is not known to be stored. */
  reject(reason: unknown): void {
    if (this.#settle()) this.#reject(reason);
  }

  #settle(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    if (this.#abort !== undefined) this.deadline.signal?.removeEventListener("abort", this.#abort);
    this.#onSettled(this);
    return true;
  }
}
