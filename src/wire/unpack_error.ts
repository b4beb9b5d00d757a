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

/** The error of a body that unpacks to more than it may. */
export function tooLargeError(kind: PackedKind, maxSize: number, cause?: unknown): NetworkError {
  return unpackError(kind, `it has more than ${maxSize} bytes`, cause);
}

/** What node:zlib has thrown, as ours. */
export function zlibError(kind: PackedKind, maxSize: number, cause: unknown): NetworkError {
  return isTooLarge(cause) ? tooLargeError(kind, maxSize, cause) : unpackError(kind, (cause as Error).message, cause);
}

/** Whether node:zlib refused to give more than `maxOutputLength` bytes. */
export function isTooLarge(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "ERR_BUFFER_TOO_LARGE";
}
