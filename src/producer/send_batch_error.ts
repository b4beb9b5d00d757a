/**
 * The error of a batch that could not be sent as a whole.
 *
 * @module
 */

import { ProducerError, RocketMQError } from "../errors.ts";
import { reasonOf } from "../plain_text.ts";
import type { SendReceipt } from "../sending/receipt.ts";

/**
 * Some or all messages of a batch could not be sent; `cause` is the first error.
 *
 * @category Errors
 */
export class SendBatchError extends ProducerError {
  /** The class's name, also after bundling. */
  override name = "SendBatchError";
  /** One for each message of the batch, in their order: its receipt, or undefined if it is not known to be stored. */
  readonly receipts: readonly (SendReceipt | undefined)[];
  /**
   * The indices in the batch of the messages that are not known to be stored. Those of a request whose answer was lost
   * may be stored nevertheless; sending them again may create duplicates.
   */
  readonly unsent: readonly number[];

  /** Makes the error from what is known of each message, and the errors of the requests, the first one first. */
  constructor(receipts: readonly (SendReceipt | undefined)[], failures: readonly unknown[]) {
    const cause = failures[0];
    const maybeStored = failures.some((failure) => !(failure instanceof ProducerError) || failure.maybeStored);
    const unsent = receipts.flatMap((receipt, place) => receipt === undefined ? [place] : []);
    const words = reasonOf(cause);
    super(
      `Cannot send a whole batch: ${receipts.length - unsent.length} of ${receipts.length} messages are stored, ` +
        `${unsent.length} are not known to be (see receipts and unsent): ${words}`,
      { code: "BATCH_NOT_SENT", retriable: cause instanceof RocketMQError && cause.retriable, cause, maybeStored },
    );
    this.receipts = receipts;
    this.unsent = unsent;
  }
}
