/**
 * Answers of handlers, and their bodies.
 *
 * @module
 */

import type { Reply } from "../transport/connection.ts";
import { ResponseCode } from "../wire/codes.ts";
import { encodeHeader, type Fields, type HeaderOf, type HeaderText } from "../wire/fields.ts";

/** An answer that may be the forwarded answer of another process, with the language and version of that process. */
export interface BrokerReply extends Reply {
  /** The language of the process that has answered. @default {"JAVA"} */
  readonly language?: string;
  /** The version of the process that has answered. @default the broker's own */
  readonly version?: number;
}

/** A successful answer. */
export function accept(fields: HeaderText = {}, body?: Uint8Array): Reply {
  return { code: ResponseCode.SUCCESS, fields, body };
}

/** A successful answer with a header of the table. */
export function acceptWith<T extends Fields>(fields: T, header: HeaderOf<T>): Reply {
  return accept(encodeHeader(fields, header));
}

/** A refusal. */
export function refuse(code: number, remark: string): Reply {
  return { code, remark };
}

const encoder = new TextEncoder();

/** A JSON body. */
export function jsonBody(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** A text body. */
export function textBody(text: string): Uint8Array {
  return encoder.encode(text);
}
