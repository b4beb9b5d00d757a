/**
 * Filters in front of the router of an embedded server.
 *
 * @module
 */

import type { Connection, Reply, RequestHandler } from "../transport/connection.ts";
import type { Command } from "../wire/frame.ts";

/**
 * A filter of requests: faults, and later the check of credentials. It decides about every request that a server
 * receives, before the router does.
 *
 * | to | a filter returns |
 * |---|---|
 * | let the request pass | `next(request, connection)` |
 * | answer in the router's place | a reply, without a call of `next` |
 * | delay the request, or its answer | a promise that waits before, or after, the call of `next` |
 * | drop the request, or its answer | {@linkcode noAnswer}, without, or after, a call of `next` |
 */
export type RequestFilter = (request: Command, connection: Connection, next: RequestHandler) => Reply | Promise<Reply>;

/** Puts filters in front of a handler: the first one sees a request first, and its `next` is the second one. */
export function filtered(filters: readonly RequestFilter[], handle: RequestHandler): RequestHandler {
  return filters.reduceRight<RequestHandler>(
    (next, filter) => (request, connection) => filter(request, connection, next),
    handle,
  );
}

/** The answer that is never sent. One promise per request: a shared one would keep every connection alive. */
export function noAnswer(): Promise<never> {
  return new Promise(() => {});
}
