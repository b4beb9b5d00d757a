/**
 * The name servers of a cluster: asked until one answers, or all.
 *
 * @module
 */

import { delay } from "../waiting.ts";
import { NameServerError, NetworkError, ResponseError } from "../errors.ts";
import type { ServerHealth } from "../health.ts";
import { reasonOf } from "../plain_text.ts";
import { AUTO_CREATE_TOPIC } from "../wire/codes.ts";
import { Endpoint, type EndpointOptions } from "./endpoint.ts";
import { answeredWrongly, type AskOptions, isFinalFailure, NameServer, type RouteAnswer } from "./name_server.ts";
import { allRoutes, firstRoute, type RouteRound } from "./route_asks.ts";
import { ShortList } from "./route_limits.ts";

/** The wait between two rounds of a start that reaches nobody, in milliseconds. */
const START_RETRY_INTERVAL = 100;

/** The name servers that a client was given. */
export class NameServers {
  #servers: readonly NameServer[];
  /** The one that answered last. */
  #current: number;

  /** Makes the set; `addresses` are tried in turn, from a random one on. */
  constructor(addresses: readonly string[], options: EndpointOptions) {
    this.#servers = [...new Set(addresses)].map((address) => new NameServer(new Endpoint(address, options)));
    this.#current = Math.floor(Math.random() * this.#servers.length);
  }

  /** The addresses, each once. */
  get addresses(): readonly string[] {
    return this.#servers.map(({ address }) => address);
  }

  /** Our own address as the network of the name server that answered last sees it. */
  get localHost(): string | undefined {
    return this.#servers[this.#current]?.endpoint.localHost;
  }

  /**
   * Waits until one name server answers; with a `startTimeout` of 0 they are asked once.
   *
   * @throws {NameServerError} `NAME_SERVER_UNREACHABLE` after `startTimeout`, or at once where trying again cannot help;
   * `NOT_A_NAME_SERVER` at once if something else answers
   */
  async start(startTimeout: number, requestTimeout: number, signal?: AbortSignal): Promise<void> {
    const started = performance.now();
    for (;;) {
      const left = startTimeout === 0 ? requestTimeout : startTimeout - (performance.now() - started);
      try {
        await this.first(AUTO_CREATE_TOPIC, { timeout: Math.max(1, Math.min(requestTimeout, left)), signal });
        return;
      } catch (cause) {
        signal?.throwIfAborted();
        if (answeredWrongly(cause)) throw notANameServer(cause);
        const isFinal = isFinalFailure(cause);
        if (isFinal || performance.now() - started + START_RETRY_INTERVAL >= startTimeout) {
          const time = isFinal ? "" : ` within ${startTimeout} ms`;
          throw new NameServerError(
            `Cannot reach a name server${time}: tried ${this.#list()} (host:port, usually port 9876); ${
              reasonOf(cause)
            }`,
            { code: "NAME_SERVER_UNREACHABLE", retriable: !isFinal, cause },
          );
        }
        await delay(START_RETRY_INTERVAL, { signal });
      }
    }
  }

  /**
   * The answer of the first name server that has one. They are asked one after the other, the next when one fails or
   * has not answered after a short while: a silent one does not use up the time of those behind it.
   *
   * @param turn which of them is asked first; without it the one that answered last
   * @throws {RocketMQError} what explains most of why none answered within the timeout
   */
  async first(topic: string, options: AskOptions, turn = this.#current): Promise<RouteAnswer> {
    const count = this.#servers.length;
    const preferred = this.#servers[turn % count]!;
    const others = this.#inTurn().filter((server) => server !== preferred);
    const answer = await firstRoute([preferred, ...others], topic, options);
    this.#current = this.#servers.findIndex(({ address }) => address === answer.address);
    return answer;
  }

  /**
   * The answers of all name servers. One that is silent is waited for until the timeout while nobody knows the topic,
   * else for a short while, and if it did not answer the last time not at all.
   *
   * @param known an answer that is there already: that one is not asked again
   * @throws {RocketMQError} what explains most of why none answered within the timeout
   */
  async all(topic: string, options: AskOptions, known?: RouteAnswer): Promise<RouteRound> {
    const servers = this.#inTurn().filter(({ address }) => address !== known?.address);
    const round = await allRoutes(servers, topic, options, known);
    const places = new Map(this.#servers.map(({ address }, place) => [address, place]));
    const answers = round.answers.toSorted((a, b) => places.get(a.address)! - places.get(b.address)!);
    return { ...round, answers };
  }

  /** Which of them can be reached, without a request. */
  health(): readonly ServerHealth[] {
    return this.#servers.map(({ address, answers, endpoint: { state } }) => {
      return { name: address, address, state: answers ? state : "unreachable" };
    });
  }

  /** Closes all connections. */
  close(): void {
    for (const { endpoint } of this.#servers) endpoint.close();
  }

  /** The name servers from the current one on, those behind that did not answer the last time. */
  #inTurn(): NameServer[] {
    const turned = [...this.#servers.slice(this.#current), ...this.#servers.slice(0, this.#current)];
    return [...turned.filter(({ answers }) => answers), ...turned.filter(({ answers }) => !answers)];
  }

  #list(): string {
    const list = new ShortList();
    for (const address of this.addresses) list.add(address);
    return list.toString();
  }
}

function whatAnswered(cause: unknown): string {
  if (cause instanceof ResponseError) return "a broker answers there";
  const reason = /: (it (?:speaks|answers|requires|is) .*)/.exec(reasonOf(cause))?.[1];
  return reason ?? "what answers there speaks another protocol";
}

function notANameServer(cause: unknown): NameServerError {
  const who = cause instanceof NetworkError || cause instanceof ResponseError ? cause.address : "the peer";
  return new NameServerError(
    `Cannot use ${who} as a name server: ${whatAnswered(cause)}; use the address of a name server (usually port 9876)`,
    { code: "NOT_A_NAME_SERVER", cause },
  );
}
