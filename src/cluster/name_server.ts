/**
 * One name server, and what it answers.
 *
 * @module
 */

import { NetworkError, ResponseError } from "../errors.ts";
import type { TopicRouteData } from "../wire/bodies.ts";
import { ResponseCode } from "../wire/codes.ts";
import { getRoute } from "../wire/requests.ts";
import type { CallOptions, Endpoint } from "./endpoint.ts";
import { parseRoute } from "./route_data.ts";
import { ShortList } from "./route_limits.ts";

/** What one name server answered about a topic. */
export interface RouteAnswer {
  /** The name server's `host:port`. */
  readonly address: string;
  /** The route; undefined if it does not know the topic. */
  readonly data: TopicRouteData | undefined;
  /** The entries of the answer that could not be used. */
  readonly leftOut: ShortList;
}

/** The time that asking may take, and its signal. */
export type AskOptions = Pick<CallOptions, "timeout" | "signal">;

/** One of the name servers. */
export class NameServer {
  /** Where it is. */
  readonly endpoint: Endpoint;
  /** Whether it answered when it was asked last; one that did not is never waited for while another answers. */
  answers = true;

  /** Makes a name server that counts as one that answers. */
  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }

  /** Its `host:port`. */
  get address(): string {
    return this.endpoint.address;
  }

  /** Asks for a topic's route. */
  async ask(topic: string, options: AskOptions): Promise<RouteAnswer> {
    const { address } = this;
    const header = { topic, acceptStandardJsonOnly: true };
    try {
      const asking = { ...options, accept: [ResponseCode.TOPIC_NOT_EXIST] };
      const { code, body } = await this.endpoint.call(getRoute, header, asking);
      const answer = code === ResponseCode.TOPIC_NOT_EXIST
        ? { address, data: undefined, leftOut: new ShortList() }
        : { address, ...parseRoute(body) };
      this.answers = true;
      return answer;
    } catch (error) {
      if (!options.signal?.aborted) this.answers = false;
      throw withAddress(error, address);
    }
  }
}

/** Whether something answered that cannot be a name server. */
export function answeredWrongly(error: unknown): boolean {
  if (error instanceof NetworkError) return error.code === "MALFORMED_FRAME";
  return error instanceof ResponseError && error.responseCode === ResponseCode.REQUEST_CODE_NOT_SUPPORTED;
}

/** Which of two failures explains more: what a wrong server said, rather than that another one is silent. */
export function moreTelling(known: unknown, other: unknown): unknown {
  if (known === undefined || answeredWrongly(other)) return other;
  return !answeredWrongly(known) && isFinalFailure(known) && !isFinalFailure(other) ? other : known;
}

/** Whether trying again cannot help: a permission, a certificate, a name that does not exist. */
export function isFinalFailure(error: unknown): boolean {
  return error instanceof NetworkError && error.code === "CONNECT_FAILED" && !error.retriable;
}

/** Names the server in an error of bytes that came from it. */
function withAddress(error: unknown, address: string): unknown {
  if (!(error instanceof NetworkError) || error.address !== "") return error;
  return new NetworkError(`${error.message} (from ${address})`, address, error.code, { cause: error });
}
