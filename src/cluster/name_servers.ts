/**
 * The name servers of a cluster: any of them will do, so the one that answers is kept.
 *
 * @module
 */

import { delay } from "../waiting.ts";
import { NameServerError, NetworkError, ResponseError } from "../errors.ts";
import { AUTO_CREATE_TOPIC, ResponseCode } from "../wire/codes.ts";
import type { HeaderOf } from "../wire/fields.ts";
import type { TopicRouteData } from "../wire/bodies.ts";
import { getRoute, type RequestSpec } from "../wire/requests.ts";
import { type Answer, type CallOptions, Endpoint, type EndpointOptions } from "./endpoint.ts";
import { parseRoute } from "./route_data.ts";

/** The wait between two rounds of a start that reaches nobody, in milliseconds. */
const START_RETRY_INTERVAL = 100;

/** The name servers that a client was given. */
export class NameServers {
  #endpoints: Endpoint[];
  #current = 0;

  /** Makes the set; `addresses` are tried in random order. */
  constructor(addresses: readonly string[], options: EndpointOptions) {
    this.#endpoints = addresses.map((address) => new Endpoint(address, options));
    this.#current = Math.floor(Math.random() * addresses.length);
  }

  /** The addresses, as given. */
  get addresses(): readonly string[] {
    return this.#endpoints.map((endpoint) => endpoint.address);
  }

  /** Our own address as the connected name server's network sees it. */
  get localHost(): string | undefined {
    return this.#endpoints[this.#current]?.localHost;
  }

  /**
   * Waits until one name server answers; with a `startTimeout` of 0 they are asked once.
   *
   * @throws {NameServerError} `NAME_SERVER_UNREACHABLE` after `startTimeout`; `NOT_A_NAME_SERVER` at once if something
   * else answers
   */
  async start(startTimeout: number, requestTimeout: number, signal?: AbortSignal): Promise<void> {
    const started = performance.now();
    for (;;) {
      const left = startTimeout === 0 ? requestTimeout : startTimeout - (performance.now() - started);
      try {
        await this.route(AUTO_CREATE_TOPIC, { timeout: Math.max(1, Math.min(requestTimeout, left)), signal });
        return;
      } catch (cause) {
        signal?.throwIfAborted();
        if (answeredWrongly(cause)) throw this.#notANameServer(cause);
        if (performance.now() - started + START_RETRY_INTERVAL >= startTimeout) {
          throw new NameServerError(
            `Cannot reach a name server within ${startTimeout} ms: tried ${this.addresses.join(", ")}; ` +
              `check the addresses (host:port, usually port 9876) and that they can be reached from here`,
            { code: "NAME_SERVER_UNREACHABLE", retriable: true, cause },
          );
        }
        await delay(START_RETRY_INTERVAL, { signal });
      }
    }
  }

  /** A topic's route; undefined if no name server knows the topic. */
  async route(topic: string, options: CallOptions): Promise<TopicRouteData | undefined> {
    const header = { topic, acceptStandardJsonOnly: true };
    const asking = { ...options, accept: [ResponseCode.TOPIC_NOT_EXIST] };
    const read = ({ code, body }: Answer<typeof getRoute>) =>
      code === ResponseCode.TOPIC_NOT_EXIST ? undefined : parseRoute(body);
    return await this.#ask(getRoute, header, asking, read);
  }

  /**
   * Asks the current name server; if that fails, or what it says cannot be read, the others, each at most once, within
   * one timeout for all.
   */
  async #ask<S extends RequestSpec, T>(
    spec: S,
    header: HeaderOf<S["header"]>,
    options: CallOptions,
    read: (answer: Answer<S>) => T,
  ): Promise<T> {
    let failure: unknown;
    const deadline = performance.now() + options.timeout;
    const first = this.#current;
    for (let i = 0; i < this.#endpoints.length; i++) {
      const index = (first + i) % this.#endpoints.length;
      // A silent one must not use up the time of those behind it.
      const timeout = Math.max(1, (deadline - performance.now()) / (this.#endpoints.length - i));
      const endpoint = this.#endpoints[index]!;
      try {
        const result = read(await endpoint.call(spec, header, { ...options, timeout }));
        this.#current = index;
        return result;
      } catch (cause) {
        options.signal?.throwIfAborted();
        const error = withAddress(cause, endpoint.address);
        // What a wrong server said explains more than that another one is silent.
        if (failure === undefined || answeredWrongly(error)) failure = error;
      }
    }
    throw failure;
  }

  /** Closes all connections. */
  close(): void {
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  #notANameServer(cause: unknown): NameServerError {
    const who = cause instanceof NetworkError || cause instanceof ResponseError ? cause.address : "the peer";
    return new NameServerError(
      `Cannot use ${who} as a name server: what answers there is none; give the address of a name server ` +
        `(usually port 9876), not of a broker or another service`,
      { code: "NOT_A_NAME_SERVER", cause },
    );
  }
}

/** Names the server in an error of bytes that came from it. */
function withAddress(error: unknown, address: string): unknown {
  if (!(error instanceof NetworkError) || error.address !== "") return error;
  return new NetworkError(`${error.message} (from ${address})`, address, error.code, { cause: error });
}

/** Whether something answered that cannot be a name server. */
function answeredWrongly(error: unknown): boolean {
  if (error instanceof NetworkError) return error.code === "MALFORMED_FRAME";
  return error instanceof ResponseError && error.responseCode === ResponseCode.REQUEST_CODE_NOT_SUPPORTED;
}
