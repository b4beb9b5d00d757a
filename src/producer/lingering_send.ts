/**
 * One send that may share its request with others.
 *
 * @module
 */

import type { AttemptObserver } from "../sending/attempt_observer.ts";
import type { Deadline } from "../sending/deadline.ts";
import type { EncodedMessage } from "./encoding.ts";
import type { Expiring } from "./expiry.ts";
import type { Placement } from "../sending/send_request.ts";
import type { SendReceipt } from "../sending/receipt.ts";

/** A message and the promise of its receipt, with a deadline and a signal of its own. */
export class LingeringSend implements Expiring {
  /** The message. */
  readonly message: EncodedMessage;
  /** Its place in the list of what expires. */
  place = -1;
  /** Which queue is chosen. */
  readonly placement: Placement;
  /** The deadline of the call. */
  readonly deadline: Deadline;
  /** Receives the attempts, if anything does. */
  readonly observer: AttemptObserver | undefined;
  /** Whether it can share a request. */
  readonly fits: boolean;
  /** Whether its request has begun. */
  hasBegun = false;
  /** What the call returns. */
  readonly receipt: Promise<SendReceipt>;
  #resolve!: (receipt: SendReceipt) => void;
  #reject!: (reason: unknown) => void;
  /** What else has to be done when the receipt is settled. */
  #onSettled: (send: LingeringSend) => void;
  #abort: (() => void) | undefined;
  #isSettled = false;

  /** Makes a send; `onSettled` is called when its receipt is settled. */
  constructor(
    message: EncodedMessage,
    placement: Placement,
    deadline: Deadline,
    fits: boolean,
    observer: AttemptObserver | undefined,
    onSettled: (send: LingeringSend) => void,
  ) {
    this.message = message;
    this.placement = placement;
    this.deadline = deadline;
    this.fits = fits;
    this.observer = observer;
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

  /** Whether the receipt is settled: nothing has to be sent then. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Resolves the receipt; the first result counts. */
  resolve(receipt: SendReceipt): void {
    if (this.#settle()) this.#resolve(receipt);
  }

  /** Rejects the receipt. */
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
