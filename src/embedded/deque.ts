/**
 * A list that grows at one end and shrinks at the other, both in constant time.
 *
 * @module
 */

/** How many removed entries may precede the first item before the list is compacted. */
const SLACK = 1_024;

/** A list that grows at its end and loses items at its beginning, with access by position. */
export class Deque<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  /** How many items it holds. */
  get length(): number {
    return this.#items.length - this.#head;
  }

  /** The item at a position from the beginning; undefined outside. */
  at(index: number): T | undefined {
    return index < 0 ? undefined : this.#items[this.#head + index];
  }

  /** Adds an item at the end. */
  push(item: T): void {
    this.#items.push(item);
  }

  /** Removes and returns the first item. */
  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head > SLACK && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** The first position whose item passes `test`; `length` if none does. All later items have to pass too. */
  search(test: (item: T) => boolean): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (test(this.#items[this.#head + middle]!)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
