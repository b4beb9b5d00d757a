/** Random numbers that are the same in every run: a failure can be looked at again. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** An integer from 0 up to, and without, `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * limit);
  }

  /** One of several values. */
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** That many bytes. */
  bytes(size: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: size }, () => this.below(256));
  }

  /** A text of up to that many characters, from an alphabet that mixes widths and control characters. */
  text(maxLength: number, alphabet: readonly string[] = [..."ab xyz019_%-é€日😀\u0000\u0003\u007f"]): string {
    return Array.from({ length: this.below(maxLength + 1) }, () => this.pick(alphabet)).join("");
  }
}
