/**
 * Errors of producers.
 *
 * @module
 */

import { RocketMQError, type RocketMQErrorOptions } from "./base.ts";

/**
 * What a {@linkcode ProducerError} carries besides its message.
 *
 * @category Errors
 */
export interface ProducerErrorOptions extends RocketMQErrorOptions {
  /** Whether the message may be stored all the same. @default {false} */
  maybeStored?: boolean;
}

/**
 * A message could not be sent; `cause` holds the last broker's error.
 *
 * @category Errors
 */
export class ProducerError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "ProducerError";
  /**
   * Whether the message may be stored all the same, as a broker has received it and its answer is missing, or leaves
   * that open: sending it again may store it twice. `false` if it is certain that nothing was stored.
   */
  readonly maybeStored: boolean;

  /** Makes an error; `options.cause` keeps the error below it. */
  constructor(message: string, options: ProducerErrorOptions) {
    super(message, options);
    this.maybeStored = options.maybeStored ?? false;
  }
}
