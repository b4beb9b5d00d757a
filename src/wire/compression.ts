/**
 * Packed bodies: which of the three kinds a body is of stands in its message's system flag.
 *
 * | type bits of the flag | body |
 * |---|---|
 * | 0 (clients older than 5.0) and 3 | zlib stream (RFC 1950) |
 * | 1 | LZ4 frame |
 * | 2 | Zstandard frame (RFC 8878) |
 *
 * Source: MessageSysFlag, CompressionType.
 *
 * @module
 */

import { builtin } from "../builtin.ts";
import { UnsupportedError } from "../errors.ts";
import { MessageSysFlag } from "./codes.ts";
import { join } from "./join.ts";
import { decompressLz4 } from "./lz4.ts";
import { type PackedKind, requireContent, tooLargeError, zlibError } from "./unpack_error.ts";
import { zstdFrames } from "./zstd.ts";

/** What we pack with: every broker version and every client reads it. */
export type CompressionType = "zlib";

/**
 * Packs a body.
 *
 * @param level 1 (fast) to 9 (small), 0 stores; Java's clients use 5
 */
export function compress(body: Uint8Array, type: CompressionType, level: number): Uint8Array {
  switch (type) {
    case "zlib":
      return plain(builtin("node:zlib").deflateSync(body, { level }));
  }
}

/**
 * Unpacks a body of the kind that the message's system flag states.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if the body is broken or unpacks to more than `maxSize` bytes
 * @throws {UnsupportedError} if the kind is unknown, or is Zstandard on Node 20, which cannot unpack it
 */
export function decompress(body: Uint8Array, sysFlag: number, maxSize: number): Uint8Array {
  const type = sysFlag & MessageSysFlag.COMPRESSION_MASK;
  switch (type) {
    case 0:
    case MessageSysFlag.COMPRESSION_ZLIB:
      return unpack("a zlib", maxSize, () => builtin("node:zlib").inflateSync(body, { maxOutputLength: maxSize }));
    case MessageSysFlag.COMPRESSION_LZ4:
      return decompressLz4(body, maxSize);
    case MessageSysFlag.COMPRESSION_ZSTD:
      return decompressZstd(body, maxSize);
    default:
      throw new UnsupportedError(`Cannot unpack a body: its compression type is ${type >>> 8}, known are 0 to 3`);
  }
}

function decompressZstd(body: Uint8Array, maxSize: number): Uint8Array {
  const zlib = builtin("node:zlib");
  if (typeof zlib.zstdDecompressSync !== "function") {
    throw new UnsupportedError("Cannot unpack a Zstandard body: this runtime has no Zstandard");
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const frame of zstdFrames(body)) {
    const maxOutputLength = Math.max(1, maxSize - size); // 0 is not allowed there
    const part = unpack("a Zstandard", maxSize, () => zlib.zstdDecompressSync(frame.bytes, { maxOutputLength }));
    size += part.length;
    if (size > maxSize) throw tooLargeError("a Zstandard", maxSize);
    requireContent("a Zstandard", 1, frame.end, size);
    parts.push(part);
  }
  return parts.length === 1 ? parts[0]! : join(parts);
}

function unpack(kind: PackedKind, maxSize: number, run: () => Uint8Array): Uint8Array {
  try {
    return plain(run());
  } catch (cause) {
    throw zlibError(kind, maxSize, cause);
  }
}

/** Takes the `Buffer` off the bytes: its `slice()` would be a view where a `Uint8Array`'s is a copy. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
