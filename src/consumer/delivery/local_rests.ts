/**
 * How long a message rests here that no broker takes.
 *
 * @module
 */

/**
 * The first rest, and the longest, in milliseconds. Source: ConsumeMessageConcurrentlyService has the first for all.
 */
const [FIRST_REST, LONGEST_REST] = [5_000, 60_000];

/** The rest after a number of attempts that failed: 5 s, 10 s, 20 s, … up to `longest`. */
export function restAfter(failures: number, longest: number = LONGEST_REST): number {
  return Math.min(FIRST_REST * 2 ** (failures - 1), longest);
}

/** Counts attempts by message. Few messages are ever counted, so those that are not cost nothing. */
export class LocalRests {
  #failures = new WeakMap<object, number>();

  /** The rest of a message that was refused once more. */
  next(message: object): number {
    const failures = (this.#failures.get(message) ?? 0) + 1;
    this.#failures.set(message, failures);
    return restAfter(failures);
  }
}
