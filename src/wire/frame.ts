/**
 * Frames: the unit in which both sides of the protocol speak, and their two header encodings.
 *
 * | offset | size | meaning |
 * |---|---|---|
 * | 0 | 4 | bytes that follow |
 * | 4 | 1 | header encoding: 0 JSON, 1 binary |
 * | 5 | 3 | header length |
 * | 8 | header length | header |
 * | then | the rest | body |
 *
 * Source: RemotingCommand, RocketMQSerializable, NettyDecoder.
 *
 * @module
 */

import { ValidationError } from "../errors.ts";
import { FrameFlag, LanguageCode, PROTOCOL_VERSION } from "./codes.ts";
import type { HeaderText } from "./fields.ts";
import { malformedFrame, readWord } from "./frame_reader.ts";
import { type BodyWriter, type CommandInit, jsonHeader, MAX_HEADER_SIZE, requireSize } from "./frame_writer.ts";
import { decodeUtf8, readable, readUtf8 } from "./utf8.ts";

export { FrameReader, type FrameReaderOptions } from "./frame_reader.ts";
export { type BodyWriter, type CommandInit, MAX_FRAME_SIZE, MAX_HEADER_SIZE } from "./frame_writer.ts";

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const languages = Object.keys(LanguageCode);

/** One frame, taken apart: a request or an answer. */
export interface Command {
  /** What is asked, or the response code. */
  readonly code: number;
  /** The id that an answer shares with its request: any int32. */
  readonly opaque: number;
  /** Bits of {@linkcode FrameFlag}. */
  readonly flag: number;
  /** The sender's version, an ordinal of MQVersion. */
  readonly version: number;
  /** The sender's language, a name of {@linkcode LanguageCode}. */
  readonly language: string;
  /** The server's words, if it sent any. */
  readonly remark: string | undefined;
  /** The header fields as text. */
  readonly fields: HeaderText;
  /** The body: a view on the frame; empty if there is none. */
  readonly body: Uint8Array;
}

/** Whether a frame answers a request of ours. */
export function isResponse(command: Command): boolean {
  return (command.flag & FrameFlag.RESPONSE) !== 0;
}

/** Whether nobody waits for an answer to this request. */
export function isOneway(command: Command): boolean {
  return (command.flag & FrameFlag.ONEWAY) !== 0;
}

/**
 * Writes a frame with a JSON header, which every code and every version understands.
 *
 * @throws {ValidationError} if it would be larger than {@linkcode MAX_FRAME_SIZE}: a peer answers that by hanging up
 */
export function encodeFrame(command: CommandInit): Uint8Array {
  const header = encoder.encode(jsonHeader(command, JSON.stringify(command.fields ?? {})));
  return assemble(header, 0, command.body ?? EMPTY);
}

/**
 * Writes a frame with a binary header. Source: RocketMQSerializable.
 *
 * @throws {ValidationError} if it would be larger than {@linkcode MAX_FRAME_SIZE}, or its code is above 32 767
 */
export function encodeBinaryFrame(command: CommandInit): Uint8Array {
  if (command.code !== command.code << 16 >> 16) throw notEncodable("code", command.code, "-32768 to 32767");
  const remark = encoder.encode(command.remark ?? "");
  const { fields = {} } = command;
  const entries = Object.entries(fields)
    .map(([key, value]) => [encoder.encode(key), encoder.encode(value)] as const);
  const extLength = entries.reduce((sum, [key, value]) => sum + 6 + key.length + value.length, 0);
  const header = new Uint8Array(21 + remark.length + extLength);
  const view = new DataView(header.buffer);
  view.setInt16(0, command.code);
  view.setUint8(2, (LanguageCode as Record<string, number>)[command.language ?? "OTHER"] ?? LanguageCode.OTHER);
  view.setInt16(3, command.version ?? PROTOCOL_VERSION);
  view.setInt32(5, command.opaque);
  view.setInt32(9, command.flag ?? 0);
  view.setInt32(13, remark.length);
  header.set(remark, 17);
  let at = 17 + remark.length;
  view.setInt32(at, extLength);
  at += 4;
  for (const [key, value] of entries) {
    if (key.length > 0x7fff) throw notEncodable("a field's name", key.length, "up to 32767 bytes");
    view.setInt16(at, key.length);
    header.set(key, at + 2);
    at += 2 + key.length;
    view.setInt32(at, value.length);
    header.set(value, at + 4);
    at += 4 + value.length;
  }
  return assemble(header, 1, command.body ?? EMPTY);
}

function assemble(header: Uint8Array, encoding: number, body: Uint8Array | BodyWriter): Uint8Array {
  const size = 8 + header.length + body.length;
  requireSize(size);
  const frame = new Uint8Array(size);
  const view = new DataView(frame.buffer);
  view.setUint32(0, frame.length - 4);
  view.setUint32(4, (encoding << 24) | header.length);
  frame.set(header, 8);
  if (body instanceof Uint8Array) frame.set(body, 8 + header.length);
  else body.writeTo(frame, 8 + header.length);
  return frame;
}

/**
 * Takes one whole frame apart; the body stays a view on it.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if its lengths or its header make no sense
 */
export function decodeFrame(frame: Uint8Array): Command {
  if (frame.length < 8) throw malformedFrame(`it has ${frame.length} bytes, at least 8 are needed`);
  const encoding = frame[4];
  const headerEnd = 8 + (readWord(frame, 4) & 0xffffff);
  if (headerEnd > frame.length) throw malformedFrame(`its header ends at byte ${headerEnd} of ${frame.length}`);
  if (headerEnd - 8 > MAX_HEADER_SIZE) {
    throw malformedFrame(`its header has ${headerEnd - 8} bytes, allowed are ${MAX_HEADER_SIZE}`);
  }
  const body = headerEnd === frame.length ? EMPTY : frame.subarray(headerEnd);
  switch (encoding) {
    case 0:
      return decodeJsonHeader(frame, headerEnd, body);
    case 1:
      return decodeBinaryHeader(frame, headerEnd, body);
    default:
      throw malformedFrame(`its header encoding is ${encoding}, known are 0 and 1`);
  }
}

function decodeJsonHeader(frame: Uint8Array, end: number, body: Uint8Array): Command {
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(readUtf8(frame, 8, end));
  } catch { // the parser's words would show what is there as it is
    throw malformedFrame("its header is no JSON");
  }
  if (typeof header !== "object" || header === null) throw malformedFrame("its header is no JSON object");
  const { code, opaque, flag = 0, version = 0, language = "OTHER", remark, extFields } = header;
  if (typeof code !== "number" || typeof opaque !== "number" || typeof flag !== "number") {
    throw malformedFrame("its header lacks code, opaque or flag");
  }
  return {
    code,
    opaque,
    flag,
    version: typeof version === "number" ? version : 0,
    language: typeof language === "string" ? language : "OTHER",
    remark: typeof remark === "string" ? remark : undefined,
    fields: typeof extFields === "object" && extFields !== null ? extFields as HeaderText : Object.create(null),
    body,
  };
}

function decodeBinaryHeader(frame: Uint8Array, end: number, body: Uint8Array): Command {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const buffer = readable(frame);
  let at = 8;
  /** Steps over a field of known size, or of a size that the wire states. */
  const take = (size: number): number => {
    if (size < 0 || at + size > end) throw malformedFrame(`a field of ${size} bytes passes the end of its header`);
    at += size;
    return at - size;
  };
  const text = (size: number): string => {
    const start = take(size);
    return decodeUtf8(buffer, start, start + size);
  };
  const code = view.getInt16(take(2));
  const language = languages[view.getUint8(take(1))] ?? "OTHER";
  const version = view.getInt16(take(2));
  const opaque = view.getInt32(take(4));
  const flag = view.getInt32(take(4));
  const remark = text(view.getInt32(take(4)));
  const fieldsEnd = at + 4 + view.getInt32(take(4));
  if (fieldsEnd < at || fieldsEnd > end) throw malformedFrame("its fields pass the end of its header");
  const fields: HeaderText = Object.create(null);
  while (at < fieldsEnd) {
    const key = text(view.getInt16(take(2)));
    fields[key] = text(view.getInt32(take(4)));
  }
  return { code, opaque, flag, version, language, remark: remark === "" ? undefined : remark, fields, body };
}

function notEncodable(field: string, value: unknown, allowed: string): ValidationError {
  return new ValidationError("write a frame", [{ field, value, allowed }]);
}
