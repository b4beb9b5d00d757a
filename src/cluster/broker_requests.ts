/**
 * Requests that brokers make to this client, typed by the same table that clients encode with.
 *
 * @module
 */

import type { Connection, Reply, RequestHandler } from "../transport/connection.ts";
import { ResponseCode } from "../wire/codes.ts";
import { decodeHeader, type HeaderOf } from "../wire/fields.ts";
import type { Command } from "../wire/frame.ts";
import type { RequestSpec } from "../wire/requests.ts";

/** What the member of a group is that serves a request. */
export type GroupRole = "consumer" | "producer";

/** A request as handlers receive it, besides its header. */
export interface BrokerRequest {
  /** The request as it came. */
  readonly command: Command;
  /** The connection that it came on. */
  readonly connection: Connection;
}

/** One kind of request that a member of a group, or the whole client, serves. */
export interface BrokerRoute {
  /** The request's code. */
  readonly code: number;
  /** The group that a request names; undefined where requests of this kind are for the whole client. */
  readonly groupOf: ((command: Command) => string) | undefined;
  /** Serves a request; what it throws or rejects with is answered as a SYSTEM_ERROR. */
  readonly serve: RequestHandler;
}

type Handle<S extends RequestSpec> = (header: HeaderOf<S["header"]>, request: BrokerRequest) => Reply | Promise<Reply>;

/** Serves a request for one group: `groupOf` reads its name in the header or, for transaction checks, in the body. */
export function groupRoute<S extends RequestSpec>(
  spec: S,
  groupOf: (header: HeaderOf<S["header"]>, command: Command) => string,
  handle: Handle<S>,
): BrokerRoute {
  return { ...clientRoute(spec, handle), groupOf: (command) => groupOf(headerOf(spec, command), command) };
}

/** Serves a request for the whole client. */
export function clientRoute<S extends RequestSpec>(spec: S, handle: Handle<S>): BrokerRoute {
  return {
    code: spec.code,
    groupOf: undefined,
    serve: (command, connection) => handle(headerOf(spec, command), { command, connection }),
  };
}

/** Who serves the requests of one code. */
interface Registered {
  readonly role: GroupRole;
  readonly route: BrokerRoute;
  readonly group: string;
}

/** From a request to the member of a group that serves it. */
export class BrokerRequests {
  /** By code; the newest comes last. */
  #registered = new Map<number, readonly Registered[]>();

  /**
   * Serves requests in the name of a group until the returned function is called. Of several members of a group that
   * serve the same request, such as producers, the newest does.
   */
  register(role: GroupRole, group: string, routes: readonly BrokerRoute[]): () => void {
    const added = routes.map((route): Registered => ({ role, route, group }));
    for (const each of added) this.#registered.set(each.route.code, [...this.#of(each.route.code), each]);
    return () => {
      for (const each of added) {
        this.#registered.set(each.route.code, this.#of(each.route.code).filter((other) => other !== each));
      }
    };
  }

  /** Answers one request. Source: ClientRemotingProcessor. */
  readonly serve: RequestHandler = (command, connection) => {
    const registered = this.#of(command.code);
    const newest = registered.at(-1);
    if (newest === undefined) {
      const remark = `request type ${command.code} not supported`;
      return { code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark };
    }
    const group = newest.route.groupOf?.(command);
    if (group === undefined) return newest.route.serve(command, connection);
    const member = registered.findLast((each) => each.group === group);
    if (member !== undefined) return member.route.serve(command, connection);
    return { code: ResponseCode.SYSTEM_ERROR, remark: `no ${newest.role} of group ${group} is on this client` };
  };

  #of(code: number): readonly Registered[] {
    return this.#registered.get(code) ?? [];
  }
}

function headerOf<S extends RequestSpec>({ name, header }: S, { fields }: Command): HeaderOf<S["header"]> {
  return decodeHeader<S["header"]>(header, fields, `${name} request`);
}
