/**
 * What waits for answers, by opaque.
 *
 * @module
 */

/** How many slots a table begins with; a power of two, as all its sizes are. */
const FIRST_SIZE = 16;
/** The largest opaque: they are int32, and positive where somebody reads them. */
const LAST_OPAQUE = 0x7fffffff;

/** A table of values by opaque, which assigns the opaques. Not a `Map`, for the reason in `PlacedList`. */
export class WaitTable<T> {
  /** A value stands where the low bits of its opaque say; opaques whose place is taken are not given out. */
  #values: (T | undefined)[] = new Array(FIRST_SIZE).fill(undefined);
  #opaques = new Int32Array(FIRST_SIZE);
  #size = 0;
  #last: number;

  /** Makes an empty table that assigns the opaques behind `last`. */
  constructor(last = 0) {
    this.#last = last;
  }

  /** How many values there are. */
  get size(): number {
    return this.#size;
  }

  /** An opaque that nothing waits for. */
  next(): number {
    const mask = this.#values.length - 1;
    do this.#last = (this.#last + 1) & LAST_OPAQUE; while (this.#values[this.#last & mask] !== undefined);
    return this.#last;
  }

  /** Adds a value under the opaque that was given out last. */
  add(opaque: number, value: T): void {
    const at = opaque & (this.#values.length - 1);
    this.#values[at] = value;
    this.#opaques[at] = opaque;
    this.#size++;
    if (this.#size * 2 > this.#values.length) this.#grow();
  }

  /** Removes the value of an opaque and returns it; undefined if there is none. */
  take(opaque: number): T | undefined {
    const at = opaque & (this.#values.length - 1);
    const value = this.#values[at];
    if (value === undefined || this.#opaques[at] !== opaque) return undefined;
    this.#values[at] = undefined;
    this.#size--;
    return value;
  }

  /** Removes the values that `isSelected` selects, and returns them. */
  takeAll(isSelected: (value: T) => boolean): T[] {
    const taken: T[] = [];
    for (let at = 0; at < this.#values.length; at++) {
      const value = this.#values[at];
      if (value === undefined || !isSelected(value)) continue;
      this.#values[at] = undefined;
      this.#size--;
      taken.push(value);
    }
    return taken;
  }

  #grow(): void {
    const [values, opaques] = [this.#values, this.#opaques];
    const size = values.length * 2;
    this.#values = new Array(size).fill(undefined);
    this.#opaques = new Int32Array(size);
    for (let at = 0; at < values.length; at++) {
      if (values[at] === undefined) continue;
      const to = opaques[at]! & (size - 1);
      this.#values[to] = values[at];
      this.#opaques[to] = opaques[at]!;
    }
  }
}
