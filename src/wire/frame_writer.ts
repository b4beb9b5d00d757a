/**
 * Frames that are written in place: into the bytes that go to a socket.
 *
 * @module
 */

import { ValidationError } from "../errors.ts";
import { BinaryFields, writeWord } from "./binary_fields.ts";
import { LanguageCode, PROTOCOL_VERSION } from "./codes.ts";
import type { HeaderText } from "./fields.ts";
import { NO_FIELDS } from "./json_fields.ts";
import type { WireHeader } from "./wire_header.ts";

/** The largest frame that a peer may send, in bytes, its length word included. Source: NettyDecoder. */
export const MAX_FRAME_SIZE = 16_777_216;
/** The largest header, in bytes: six for each byte of properties, as JSON may have, and room. */
export const MAX_HEADER_SIZE: number = 256 * 1024;
/** The bytes of a binary header without remark and fields. */
const BINARY_START = 21;

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();

/** A body that writes itself in place, so that nothing has to be put together before. */
export interface BodyWriter {
  /** How many bytes it has. */
  readonly length: number;
  /** Writes them from `at` on. */
  writeTo(target: Uint8Array, at: number): void;
}

/** What a frame is made from; everything but `code` and `opaque` has a default. */
export interface CommandInit {
  /** What is asked, or the response code. */
  code: number;
  /** The id that an answer shares with its request. */
  opaque: number;
  /** Bits of {@linkcode FrameFlag}. @default {0} */
  flag?: number;
  /** The sender's version. @default {PROTOCOL_VERSION} */
  version?: number | undefined;
  /** The sender's language. @default {"OTHER"} */
  language?: string;
  /** A remark for the other side. */
  remark?: string | undefined;
  /** The header fields. */
  fields?: HeaderText;
  /** The body. */
  body?: Uint8Array | BodyWriter | undefined;
}

/** What a frame is made from whose header is ready to be written. */
export interface WritableCommand extends Omit<CommandInit, "fields"> {
  /** The header fields. */
  fields?: WireHeader | undefined;
}

/**
 * A frame that is ready to be written in place: binary if its fields are, else with a JSON header.
 */
export class FrameWriter {
  /** The most bytes that it has. */
  readonly maxLength: number;
  #command: WritableCommand;
  #header: string | BinaryFields;
  #body: Uint8Array | BodyWriter;

  /** Takes what it is made from. */
  constructor(command: WritableCommand) {
    const { fields = NO_FIELDS, body = EMPTY } = command;
    this.#command = command;
    this.#body = body;
    this.#header = fields instanceof BinaryFields ? fields : jsonHeader(command, fields.text);
    const header = typeof this.#header === "string" ? this.#header.length * 3 : BINARY_START + this.#header.maxLength;
    this.maxLength = 8 + header + body.length; // 3: the most bytes of a UTF-16 unit
  }

  /**
   * Writes it from `at` on and returns its end; there must be room for `maxLength` bytes.
   *
   * @throws {ValidationError} if it is larger than {@linkcode MAX_FRAME_SIZE}: a peer answers that by hanging up
   */
  writeTo(target: Uint8Array, at: number): number {
    const header = this.#header;
    const isJson = typeof header === "string";
    const bodyStart = isJson
      ? at + 8 + encoder.encodeInto(header, target.subarray(at + 8)).written
      : this.#writeBinary(target, at + 8, header);
    const end = bodyStart + this.#body.length;
    requireSize(end - at);
    writeWord(target, at, end - at - 4);
    writeWord(target, at + 4, bodyStart - at - 8);
    if (!isJson) target[at + 4] = 1;
    if (this.#body instanceof Uint8Array) target.set(this.#body, bodyStart);
    else this.#body.writeTo(target, bodyStart);
    return end;
  }

  #writeBinary(target: Uint8Array, at: number, fields: BinaryFields): number {
    const { code, version = PROTOCOL_VERSION, opaque, flag = 0 } = this.#command;
    const start = at + BINARY_START;
    target[at] = code >>> 8;
    target[at + 1] = code;
    target[at + 2] = LanguageCode.OTHER;
    target[at + 3] = version >>> 8;
    target[at + 4] = version;
    writeWord(target, at + 5, opaque);
    writeWord(target, at + 9, flag);
    writeWord(target, at + 13, 0); // no remark
    const end = fields.writeTo(target, start);
    writeWord(target, start - 4, end - start);
    return end;
  }
}

/**
 * Refuses a frame that is too large.
 *
 * @throws {ValidationError} if it is larger than {@linkcode MAX_FRAME_SIZE}
 */
export function requireSize(size: number): void {
  if (size <= MAX_FRAME_SIZE) return;
  const allowed = `up to ${MAX_FRAME_SIZE} bytes`;
  throw new ValidationError("write a frame", [{ field: "its size", value: size, allowed }]);
}

/** The bytes of a body: those of a writer are put together for it. */
export function bodyBytes(body: Uint8Array | BodyWriter | undefined): Uint8Array {
  if (body === undefined) return EMPTY;
  if (body instanceof Uint8Array) return body;
  const bytes = new Uint8Array(body.length);
  body.writeTo(bytes, 0);
  return bytes;
}

/** The header of a frame as JSON, with the JSON of its fields. */
export function jsonHeader(command: Omit<CommandInit, "fields">, fields: string): string {
  const { code, language, version = PROTOCOL_VERSION, opaque, flag = 0, remark } = command;
  // By hand: it is numbers, mostly, and the fields are text already.
  const from = language === undefined ? '"OTHER"' : JSON.stringify(language);
  const words = remark === undefined ? "" : `,"remark":${JSON.stringify(remark)}`;
  const head = `{"code":${code},"language":${from},"version":${version},"opaque":${opaque},"flag":${flag}`;
  return `${head}${words},"extFields":${fields}}`;
}
