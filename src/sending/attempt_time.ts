/**
 * How much of a send's time one attempt gets.
 *
 * @module
 */

/** The least that an attempt is worth making for, in milliseconds: a healthy broker answers within this. */
const LEAST = 500;

/**
 * The time of the next attempt in milliseconds: what is left, in equal parts for the attempts that are possible, so that
 * a broker without an answer costs one part. No part is shorter than 500 ms, and the last one has all that is left.
 *
 * It ends the attempt's claim on the send, not the attempt: an answer that comes later still counts.
 */
export function attemptTime(left: number, possible: number): number {
  const part = Math.max(LEAST, left / Math.max(1, possible));
  return left - part < LEAST ? left : part;
}
