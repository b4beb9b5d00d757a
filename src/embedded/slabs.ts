/**
 * Many small byte arrays in few large ones.
 *
 * @module
 */

/** The size of a large array, in bytes. */
const SLAB_SIZE = 256 * 1024;

/** Larger records stay in their own arrays. */
const LARGEST = 16 * 1024;

/**
 * Copies records into large arrays, one after the other: an array for each of a million records would take more memory
 * than the records. A large array is collected when none of its records is in use.
 */
export class Slabs {
  #slab = new Uint8Array(0);
  #used = 0;

  /** Returns a copy in a large array; a large record is returned itself. */
  copy(record: Uint8Array): Uint8Array {
    if (record.length > LARGEST) return record;
    if (this.#used + record.length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_SIZE);
      this.#used = 0;
    }
    const copy = this.#slab.subarray(this.#used, this.#used += record.length);
    copy.set(record);
    return copy;
  }
}
