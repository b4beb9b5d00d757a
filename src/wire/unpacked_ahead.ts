/**
 * Bodies that are unpacked before they are asked for.
 *
 * @module
 */

/** What became of a body that was unpacked before it was asked for. */
export class UnpackedAhead {
  /** How many bytes it has; 0 if it could not be unpacked. */
  readonly size: number;
  #body: Uint8Array | undefined;
  #error: unknown;

  /** Keeps the body, or why there is none. */
  constructor(body: Uint8Array | undefined, error?: unknown) {
    this.size = body?.length ?? 0;
    this.#body = body;
    this.#error = error;
  }

  /** The body; throws why there is none. */
  get body(): Uint8Array {
    if (this.#body === undefined) throw this.#error;
    return this.#body;
  }
}
