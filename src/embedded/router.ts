/**
 * The router: from a request's code to its handler, typed by the same table that clients encode with.
 *
 * @module
 */

import type { Connection, Reply, RequestHandler } from "../transport/connection.ts";
import { PROTOCOL_VERSION, ResponseCode } from "../wire/codes.ts";
import { decodeHeader, type HeaderOf } from "../wire/fields.ts";
import type { Command } from "../wire/frame.ts";
import type { RequestSpec } from "../wire/requests.ts";
import { refuse } from "./replies.ts";
import { filtered, type RequestFilter } from "./request_filter.ts";

/** The version in the answers of a 4.9 server: 4.9.7. */
const VERSION_4_9 = 407;

/** A request, as handlers receive it. */
export interface Call {
  /** The request as received. */
  readonly command: Command;
  /** The connection on which it was received. */
  readonly connection: Connection;
}

/** The handler of one kind of request. */
export interface Handler {
  /** The code of the requests. */
  readonly code: number;
  /** Handles a request. */
  readonly handle: RequestHandler;
}

/** The handler of a request of the table: `handle` is called with the typed header. */
export function handler<S extends RequestSpec>(
  spec: S,
  handle: (header: HeaderOf<S["header"]>, call: Call) => Reply | Promise<Reply>,
): Handler {
  return {
    code: spec.code,
    handle: (command, connection) =>
      handle(decodeHeader<S["header"]>(spec.header, command.fields, `${spec.name} request`), { command, connection }),
  };
}

/** Selects the handler of a request by its code; a request without a handler is answered with code 3. */
export function router(handlers: readonly Handler[]): RequestHandler {
  const byCode = new Map(handlers.map(({ code, handle }) => [code, handle]));
  return (command, connection) => {
    const handle = byCode.get(command.code);
    if (handle !== undefined) return handle(command, connection);
    return refuse(ResponseCode.REQUEST_CODE_NOT_SUPPORTED, ` request type ${command.code} not supported`);
  };
}

/** What a server answers: the filters in their order, then the router. Answers carry the version of the dialect. */
export function requestHandler(
  handlers: readonly Handler[],
  filters: readonly RequestFilter[],
  dialect: "5.x" | "4.9",
): RequestHandler {
  const handle = filtered(filters, router(handlers));
  const version = dialect === "5.x" ? PROTOCOL_VERSION : VERSION_4_9;
  return async (command, connection) => ({ version, language: "JAVA", ...await handle(command, connection) });
}
