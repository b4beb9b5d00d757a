/**
 * Why a body cannot be unpacked.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";

/** What a packed body is called in texts. */
export type PackedKind = "a zlib" | "an LZ4" | "a Zstandard";

/** The error of a body that is broken. */
export function unpackError(kind: PackedKind, problem: string, cause?: unknown): NetworkError {
  return new NetworkError(`Cannot unpack ${kind} body: ${problem}`, "", "MALFORMED_FRAME", { cause });
}

/** The most frames of one body, those to skip included: each costs much beside its bytes, and producers make one. */
export const MOST_FRAMES = 256;
/** A body may have so many bytes, and two for each that it unpacks to: no more is looked through. */
const LEAST_ALLOWED = 4 * 1024;

/** Refuses a body that has too many frames, or holds too little: it takes time and brings nothing. */
export function requireContent(kind: PackedKind, frames: number, taken: number, unpacked: number): void {
  if (frames > MOST_FRAMES) throw unpackError(kind, `it has more than ${MOST_FRAMES} frames`);
  if (taken > LEAST_ALLOWED + 2 * unpacked) throw unpackError(kind, `its first ${taken} bytes hold ${unpacked}`);
}

class BodyTooLarge extends NetworkError {}

/** The error of a body that unpacks to more than it may. */
export function tooLargeError(kind: PackedKind, maxSize: number, cause?: unknown): NetworkError {
  const text = `Cannot unpack ${kind} body: it has more than ${maxSize} bytes`;
  return new BodyTooLarge(text, "", "MALFORMED_FRAME", { cause });
}

/** Whether a body is refused because it unpacks to more than it may. */
export function isBodyTooLarge(error: unknown): boolean {
  return error instanceof BodyTooLarge;
}

/** What node:zlib has thrown, as ours. */
export function zlibError(kind: PackedKind, maxSize: number, cause: unknown): NetworkError {
  return isTooLarge(cause) ? tooLargeError(kind, maxSize, cause) : unpackError(kind, (cause as Error).message, cause);
}

/** Whether node:zlib refused to return more than `maxOutputLength` bytes. */
export function isTooLarge(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "ERR_BUFFER_TOO_LARGE";
}
