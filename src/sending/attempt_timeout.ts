/**
 * How much of a send's time one attempt has.
 *
 * @module
 */

/** The shortest attempt, in milliseconds: a healthy broker answers within this. */
const SHORTEST = 500;

/**
 * The timeout of the next attempt in milliseconds: what is left, in equal parts for the attempts that are possible, so
 * that a broker without an answer costs one part. No part is shorter than 500 ms, and the last one has all that is
 * left.
 *
 * After it another attempt may follow; an answer to the first one that arrives later still counts.
 */
export function attemptTimeout(left: number, possible: number): number {
  const part = Math.max(SHORTEST, left / Math.max(1, possible));
  return left - part < SHORTEST ? left : part;
}
