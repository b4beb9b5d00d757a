/**
 * One server that we talk to, over whatever connection is open to it at the moment.
 *
 * @module
 */

import { delay, waitFor } from "../waiting.ts";
import { NetworkError, RocketMQError, TimeoutError } from "../errors.ts";
import { Connection, type OutgoingRequest, type RequestHandler } from "../transport/connection.ts";
import { connectFailure, SILENT_REMEDY } from "../transport/connect_failure.ts";
import type { PrepareStep } from "../transport/prepare.ts";
import { formatAddress, parseAddress, type TlsOptions, type Transport } from "../transport/transport.ts";
import type { ServerHealth } from "../health.ts";
import { ResponseCode } from "../wire/codes.ts";
import type { HeaderOf } from "../wire/fields.ts";
import { JsonFields } from "../wire/json_fields.ts";
import type { RequestSpec } from "../wire/requests.ts";
import type { WireHeader } from "../wire/wire_header.ts";
import { Probe } from "./probe.ts";
import { type Answer, AnsweredCall, type CallOptions, type OpenCall, type PreparedCallOptions } from "./call.ts";
import { inBackground, notAPromise, unheard } from "../owned_work.ts";
import { shown } from "../plain_text.ts";

export type { Answer, CallOptions, PreparedCallOptions } from "./call.ts";

/** The first wait after a failed connection attempt, in milliseconds; it doubles up to the largest. */
const FIRST_BACKOFF = 50;
/** The longest wait between two attempts: a broker that comes back is noticed within this time. */
const LONGEST_BACKOFF = 1_000;
/** How many of our own addresses are kept: servers list lost connections for two minutes. */
const MOST_ADDRESSES = 64;

/** What all endpoints of a client share. */
export interface EndpointOptions {
  /** Opens connections. */
  readonly transport: Transport;
  /** Encrypts connections. */
  readonly tls?: TlsOptions | undefined;
  /** Milliseconds for opening a connection. */
  readonly connectTimeout: number;
  /** Turns the address that a broker announces into one that can be reached from here. */
  readonly mapAddress: (address: string) => string;
  /** Answers requests from the server. */
  readonly onRequest?: RequestHandler;
  /** Called with every connection that was opened; `again` if there was one before, or an attempt that failed. */
  readonly onConnected?: (endpoint: Endpoint, again: boolean) => void;
  /** Called when a connection was lost. */
  readonly onDisconnected?: (endpoint: Endpoint, reason: RocketMQError) => void;
  /**
   * A request that distinguishes a server that hangs from a connection that is dead; without it a silent connection is
   * taken for dead.
   */
  readonly probe?: OutgoingRequest;
  /** Is applied to every request and reply before it is written. */
  readonly prepare?: PrepareStep | undefined;
  /** Takes new credentials after a refusal: whether there are others. */
  readonly renewCredentials?: (() => Promise<boolean>) | undefined;
}

/** A server by its address: connects when needed, once for all callers, with jittered back-off after failures. */
export class Endpoint {
  /** The address as the user or the route names it. */
  readonly address: string;
  #options: EndpointOptions;
  /** The newest; older ones may still be drained. */
  #connection: Connection | undefined;
  #connections = new Set<Connection>();
  #connecting: Promise<Connection> | undefined;
  #hadConnection = false;
  #failures = 0;
  /** Why the last attempt to connect failed, and how many have in a row; undefined after one that succeeded. */
  #lastFailure: { readonly error: NetworkError; readonly attempts: number } | undefined;
  #notBefore = 0;
  #closing = new AbortController();
  #probe: Probe | undefined;
  /** Our own `host:port` on the last connections. */
  #ownAddresses: string[] = [];

  /** Makes an endpoint; nothing is opened before the first call. */
  constructor(address: string, options: EndpointOptions) {
    this.address = address;
    this.#options = options;
    const { probe: request } = options;
    if (request === undefined) return;
    const replace = (answered: Connection) => this.#adopt(answered);
    this.#probe = new Probe({ request, replace, connect: (signal) => this.#dial(signal) });
  }

  /** Takes new credentials after a refusal; undefined where requests are not signed. */
  get renewCredentials(): (() => Promise<boolean>) | undefined {
    return this.#options.renewCredentials;
  }

  /** Whether a connection is open now. */
  get isOpen(): boolean {
    return this.#connection?.isOpen ?? false;
  }

  /** Whether a connection is open, nobody has needed one, or none can be opened. */
  get state(): ServerHealth["state"] {
    return this.isOpen ? "connected" : this.#failures > 0 ? "unreachable" : "unused";
  }

  /** Whether a connection was ever open. */
  get hadConnection(): boolean {
    return this.#hadConnection;
  }

  /** Our own address on the open connection, if there is one. */
  get localHost(): string | undefined {
    return this.#connection?.localHost;
  }

  /** Whether a `host:port` is our own on a connection of now or before. */
  isOwnAddress(address: string): boolean {
    return this.#ownAddresses.includes(address);
  }

  /**
   * Sends a request and waits for the answer.
   *
   * @throws {ResponseError} for any code that is neither success nor accepted
   * @throws {NetworkError} if no connection can be opened, or it breaks before the answer
   * @throws {TimeoutError} if there is no answer in time
   */
  call<S extends RequestSpec>(spec: S, header: HeaderOf<S["header"]>, options: CallOptions): Promise<Answer<S>> {
    return this.callWith(spec, JsonFields.of<S["header"]>(spec.header, header), options);
  }

  /** Sends a request whose header is prepared, such as a binary one; otherwise as {@linkcode Endpoint.call}. */
  callWith<S extends RequestSpec>(
    spec: S,
    fields: WireHeader,
    options: PreparedCallOptions,
  ): Promise<Answer<S>> {
    return new Promise((answered, failed) => this.begin(new AnsweredCall(spec, fields, options, answered, failed)));
  }

  /** Begins a call, over the connection that is open or the next one. */
  begin(call: OpenCall): void {
    if (this.#connection?.isOpen) call.sendOver(this.#connection, this);
    else {inBackground(
        this.#open(left(call.deadline), call.signal).then((opened) => call.sendOver(opened, this)),
        call.failed,
      );}
  }

  /** Closes the connection and fails what waits on it; later calls fail. */
  close(): void {
    this.#closing.abort(new NetworkError(`Connection to ${this.address} was closed`, this.address, "CONNECTION_LOST"));
    for (const connection of this.#connections) connection.close();
  }

  /** The open connection, or the next one; a caller stops waiting by its own timeout or signal, the attempt goes on. */
  #open(timeout: number, signal: AbortSignal | undefined): Promise<Connection> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason);
    if (this.#connection?.isOpen) return Promise.resolve(this.#connection);
    if (this.#connecting === undefined) {
      this.#connecting = this.#connect().finally(() => this.#connecting = undefined);
      inBackground(this.#connecting, unheard); // all who wait for it may have given up
    }
    const late = () =>
      this.#lastFailure?.error ??
        new TimeoutError(`connect to ${this.address}`, Math.round(timeout), { remedy: SILENT_REMEDY });
    return waitFor(this.#connecting, { ms: timeout, late, signal });
  }

  async #connect(): Promise<Connection> {
    const { signal } = this.#closing;
    try {
      const wait = this.#notBefore - performance.now();
      if (wait > 0) await delay(wait, { signal });
      return this.#adopt(await this.#dial(signal));
    } catch (cause) {
      if (!signal.aborted) this.#backOff();
      throw cause;
    }
  }

  /** Opens a connection, which is not in use yet; the signal ends the attempt. */
  async #dial(signal: AbortSignal): Promise<Connection> {
    const { transport, tls, connectTimeout } = this.#options;
    let target = this.address;
    try {
      target = notAPromise(this.#options.mapAddress(this.address), "mapAddress");
      const parsed = parseAddress(target);
      if (parsed === undefined) throw new TypeError(`${shown(target)} is not of the form host:port`);
      const socket = await abortAfter(
        connectTimeout,
        signal,
        (signal) => transport.connect(parsed.host, parsed.port, { signal, tls }),
      );
      if (signal.aborted || this.#closing.signal.aborted) socket.close();
      signal.throwIfAborted();
      this.#closing.signal.throwIfAborted();
      this.#ownAddresses = [formatAddress(socket.localHost, socket.localPort), ...this.#ownAddresses]
        .slice(0, MOST_ADDRESSES);
      const connection: Connection = new Connection(socket, this.address, {
        onRequest: this.#answer,
        prepare: this.#options.prepare,
        ...(this.#probe === undefined ? {} : { onSilent: (reason) => this.#decide(connection, reason) }),
      });
      return connection;
    } catch (cause) {
      if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
      const where = target === this.address ? this.address : `${this.address} (mapped to ${shown(target)})`;
      const { text, isFinal } = connectFailure(cause);
      const attempts = (this.#lastFailure?.attempts ?? 0) + 1;
      const count = attempts === 1 ? "" : `; ${attempts} attempts have failed`;
      const error = new NetworkError(
        `Cannot connect to ${where}: ${text}${count}`,
        this.address,
        "CONNECT_FAILED",
        {
          cause,
          retriable: !isFinal,
        },
      );
      this.#lastFailure = { error, attempts };
      throw error;
    }
  }

  #adopt(connection: Connection): Connection {
    const again = this.#hadConnection || this.#failures > 0;
    const openedAt = performance.now();
    this.#connection = connection;
    this.#connections.add(connection);
    this.#hadConnection = true;
    this.#lastFailure = undefined;
    const closed = connection.closed.then((reason) => {
      this.#connections.delete(connection);
      if (connection !== this.#connection) return; // a drained one, whose place another has taken
      // A peer that accepts and hangs up at once must not be called in a tight loop.
      if (performance.now() - openedAt > LONGEST_BACKOFF) this.#failures = 0;
      this.#backOff();
      if (!this.#closing.signal.aborted) this.#options.onDisconnected?.(this, reason);
    });
    inBackground(closed, unheard);
    this.#options.onConnected?.(this, again);
    return connection;
  }

  #decide(silent: Connection, reason: RocketMQError): void {
    if (this.#probe !== undefined) inBackground(this.#probe.decide(silent, reason), () => silent.close(reason));
  }

  #backOff(): void {
    const longest = Math.min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** Math.min(this.#failures++, 10));
    this.#notBefore = performance.now() + longest * (0.5 + Math.random() / 2);
  }

  #answer: RequestHandler = (request, connection) =>
    this.#options.onRequest?.(request, connection) ?? {
      code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
      remark: `request type ${request.code} not supported`,
    };
}

/** How many milliseconds are left; 1 at least, so that whoever is late fails by a timer like others. */
function left(deadline: number): number {
  return Math.max(1, Math.ceil(deadline - performance.now()));
}

/**
 * Does `work` with a signal that aborts after `ms`, or with another signal.
 *
 * Not by `AbortSignal.any` and `AbortSignal.timeout`: Node 20 may collect the latter before its time is over.
 */
async function abortAfter<T>(ms: number, other: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort(other.reason);
  const timer = setTimeout(() => controller.abort(new TimeoutError("open a connection", ms)), ms);
  other.addEventListener("abort", abort, { once: true });
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    other.removeEventListener("abort", abort);
  }
}
