/**
 * From a request's code to what serves it: typed by the same table that clients encode with.
 *
 * @module
 */

import type { Connection, Reply, RequestHandler } from "../transport/connection.ts";
import { ResponseCode } from "../wire/codes.ts";
import { decodeHeader, encodeHeader, type Fields, type HeaderOf, type HeaderText } from "../wire/fields.ts";
import type { Command } from "../wire/frame.ts";
import type { RequestSpec } from "../wire/requests.ts";

/** One request, as handlers get it. */
export interface Call {
  /** The request as it came. */
  readonly command: Command;
  /** The connection that it came on. */
  readonly connection: Connection;
}

/** An answer that may be another one's, passed on: then it says who that is. */
export interface BrokerReply extends Reply {
  /** The language of who has answered. @default {"JAVA"} */
  readonly language?: string;
  /** The version of who has answered. @default the broker's own */
  readonly version?: number;
}

/** One request that is served. */
export interface Route {
  /** Its code. */
  readonly code: number;
  /** Serves it. */
  readonly serve: RequestHandler;
}

/** Serves a request of the table: `handle` gets its header typed. */
export function route<S extends RequestSpec>(
  spec: S,
  handle: (header: HeaderOf<S["header"]>, call: Call) => Reply | Promise<Reply>,
): Route {
  return {
    code: spec.code,
    serve: (command, connection) =>
      handle(decodeHeader<S["header"]>(spec.header, command.fields, `${spec.name} request`), { command, connection }),
  };
}

/** Puts routes together; what they do not know is answered with code 3. */
export function router(routes: readonly Route[]): RequestHandler {
  const byCode = new Map(routes.map(({ code, serve }) => [code, serve]));
  return (command, connection) => {
    const serve = byCode.get(command.code);
    if (serve !== undefined) return serve(command, connection);
    return refuse(ResponseCode.REQUEST_CODE_NOT_SUPPORTED, ` request type ${command.code} not supported`);
  };
}

/** An answer that says yes. */
export function accept(fields: HeaderText = {}, body?: Uint8Array): Reply {
  return { code: ResponseCode.SUCCESS, fields, body };
}

/** An answer that says yes, with a header of the table. */
export function acceptWith<T extends Fields>(fields: T, header: HeaderOf<T>): Reply {
  return accept(encodeHeader(fields, header));
}

/** An answer that says no. */
export function refuse(code: number, remark: string): Reply {
  return { code, remark };
}

/** A body of records, one behind the other. */
export function joined(records: readonly Uint8Array[]): Uint8Array {
  const body = new Uint8Array(records.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const record of records) {
    body.set(record, at);
    at += record.length;
  }
  return body;
}

const encoder = new TextEncoder();

/** A body of JSON. */
export function jsonBody(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** A body of text. */
export function textBody(text: string): Uint8Array {
  return encoder.encode(text);
}
