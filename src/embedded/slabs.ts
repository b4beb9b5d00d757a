/**
 * Many small pieces of bytes in few large arrays.
 *
 * @module
 */

/** The size of one large array. */
const SLAB_SIZE = 256 * 1024;

/** Larger pieces stay on their own. */
const LARGEST = 16 * 1024;

/**
 * Copies pieces into large arrays, one behind the other: an array of its own for each of a million records would cost
 * more than the records. A large array is given back when none of its pieces is in use.
 */
export class Slabs {
  #slab = new Uint8Array(0);
  #used = 0;

  /** Gives a copy of a piece that takes no more room than its bytes; a large piece is given back itself. */
  keep(piece: Uint8Array): Uint8Array {
    if (piece.length > LARGEST) return piece;
    if (this.#used + piece.length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_SIZE);
      this.#used = 0;
    }
    const copy = this.#slab.subarray(this.#used, this.#used += piece.length);
    copy.set(piece);
    return copy;
  }
}
