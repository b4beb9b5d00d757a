/**
 * One connection as both sides use it: requests out and answers in, requests in and answers out.
 *
 * @module
 */

import { NetworkError, RocketMQError, TimeoutError } from "../errors.ts";
import { FrameFlag, ResponseCode } from "../wire/codes.ts";
import type { BinaryFields } from "../wire/binary_fields.ts";
import type { HeaderText } from "../wire/fields.ts";
import {
  type BodyWriter,
  type Command,
  type CommandInit,
  decodeFrame,
  FrameReader,
  isOneway,
  isResponse,
} from "../wire/frame.ts";
import type { Socket } from "./transport.ts";
import { WriteQueue } from "./write_queue.ts";

/** A request before it has an opaque. */
export interface OutgoingRequest {
  /** The request's name, for errors. */
  readonly name: string;
  /** The request's code. */
  readonly code: number;
  /** Header fields as text, all of them as JSON, or in binary form. */
  readonly fields: HeaderText | string | BinaryFields;
  /** The body. */
  readonly body?: Uint8Array | BodyWriter | undefined;
  /** The version that we say to have. @default {PROTOCOL_VERSION} */
  readonly version?: number | undefined;
}

/** How long an answer is waited for. */
export interface RequestWait {
  /** Milliseconds until the request fails with a `TimeoutError`. */
  readonly timeout: number;
  /** When that is, by the monotonic clock. @default {performance.now() + timeout} */
  readonly deadline?: number | undefined;
  /** Ends the wait early, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a request from the other side is answered with. */
export interface Reply {
  /** The response code. */
  readonly code: number;
  /** Words for the other side. */
  readonly remark?: string | undefined;
  /** Header fields as text. */
  readonly fields?: HeaderText;
  /** The body. */
  readonly body?: Uint8Array | undefined;
}

/** Answers a request from the other side; a rejected promise becomes a SYSTEM_ERROR. */
export type RequestHandler = (request: Command, connection: Connection) => Reply | Promise<Reply>;

/** Options of a {@linkcode Connection}. */
export interface ConnectionOptions {
  /** Answers requests from the other side; without it they get REQUEST_CODE_NOT_SUPPORTED. */
  readonly onRequest?: RequestHandler;
  /** How many bytes may wait for a peer that does not read, before it is cut off. @default {Infinity} */
  readonly maxQueuedBytes?: number;
}

/** How long requests must have been in vain, at least, for silence to mean that the peer is gone, in milliseconds. */
const LEAST_SILENCE = 1_000;

interface Pending {
  readonly name: string;
  readonly timeout: number;
  readonly deadline: number;
  readonly resolve: (answer: Command) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * A socket that speaks frames.
 *
 * Answers find their request by opaque; late ones are dropped. If requests time out and nothing at all has been
 * received since the first of them left, a second ago at least, the peer is gone without a word: the connection
 * closes, so that the next request opens another.
 */
export class Connection {
  /** The other side's `host:port`, as it was asked for. */
  readonly address: string;
  /** Our own address on this connection, without port. */
  readonly localHost: string;
  /** Resolves with the reason when the connection is closed, by either side. Never rejects. */
  readonly closed: Promise<RocketMQError>;
  #socket: Socket;
  #options: ConnectionOptions;
  #writes: WriteQueue;
  #pending = new Map<number, Pending>();
  #opaque = 0;
  #lastReceived = performance.now();
  /** When the first request left that timed out, with nothing received since. */
  #silentSince = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerDue = Infinity;
  #closeReason: RocketMQError | undefined;
  #resolveClosed!: (reason: RocketMQError) => void;

  /** Takes a socket over and starts to read it; `address` is how errors name the other side. */
  constructor(socket: Socket, address: string = socket.remoteAddress, options: ConnectionOptions = {}) {
    this.address = address;
    this.localHost = socket.localHost;
    this.#socket = socket;
    this.#options = options;
    this.closed = new Promise((resolve) => this.#resolveClosed = resolve);
    this.#writes = new WriteQueue(socket, options.maxQueuedBytes ?? Infinity, (cause) => this.#lost(cause));
    this.#receive();
  }

  /** Whether requests can be sent. */
  get isOpen(): boolean {
    return this.#closeReason === undefined;
  }

  /** When something was received last, by the monotonic clock; what it brought is handled in the same turn. */
  get lastReceived(): number {
    return this.#lastReceived;
  }

  /** Sends a request; resolves with the answer, whatever its code. */
  request(request: OutgoingRequest, wait: RequestWait): Promise<Command> {
    if (this.#closeReason !== undefined) return Promise.reject(this.#closeReason);
    const { signal } = wait;
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { name, code, fields, body, version } = request;
    const opaque = this.#nextOpaque();
    const answer = new Promise<Command>((resolve, reject) => {
      this.#writes.push({ code, opaque, fields, body, version }); // what it throws rejects
      this.#await(opaque, name, wait, resolve, reject);
    });
    return signal === undefined ? answer : this.#abortable(answer, opaque, signal);
  }

  /** Sends a request that nobody answers; resolves when its bytes have been handed to the system. */
  async sendOneway({ name, code, fields, body, version }: OutgoingRequest, wait?: RequestWait): Promise<void> {
    if (this.#closeReason !== undefined) throw this.#closeReason;
    wait?.signal?.throwIfAborted();
    this.#writes.push({ code, opaque: this.#nextOpaque(), flag: FrameFlag.ONEWAY, fields, body, version });
    await (wait === undefined ? this.#writes.whenWritten() : this.whenWritten(name, wait));
  }

  /** Resolves when all that was sent before has been handed to the system; a wait is like that for an answer. */
  whenWritten(name: string, wait: RequestWait): Promise<void> {
    const opaque = this.#nextOpaque(); // never sent: it stands for the wait among those for answers
    const written = new Promise<void>((resolve, reject) => {
      this.#await(opaque, name, wait, () => resolve(), reject);
      const settle = (settled: () => void) => {
        this.#pending.delete(opaque);
        settled();
      };
      this.#writes.whenWritten().then(() => settle(resolve), (reason) => settle(() => reject(reason)));
    });
    return wait.signal === undefined ? written : this.#abortable(written, opaque, wait.signal);
  }

  /** Closes the connection; requests that wait for an answer fail with `reason`. */
  close(reason?: RocketMQError): void {
    if (this.#closeReason !== undefined) return;
    this.#closeReason = reason ??
      new NetworkError(`Connection to ${this.address} was closed`, this.address, "CONNECTION_LOST");
    clearTimeout(this.#timer);
    this.#socket.close();
    this.#writes.fail(this.#closeReason);
    for (const pending of this.#pending.values()) pending.reject(this.#closeReason);
    this.#pending.clear();
    this.#resolveClosed(this.#closeReason);
  }

  /** Async, so that the socket's reader is never inside the caller's stack. */
  async #receive(): Promise<void> {
    const reader = new FrameReader((frame) => this.#take(frame), { inPlace: true });
    try {
      await this.#socket.receive((bytes) => {
        this.#lastReceived = performance.now();
        this.#silentSince = Infinity;
        reader.push(bytes);
      });
      this.#lost("the other side closed it");
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(cause: unknown): void {
    const words = cause instanceof Error ? cause.message : String(cause);
    const code = cause instanceof RocketMQError ? cause.code : "CONNECTION_LOST";
    this.close(new NetworkError(`Lost the connection to ${this.address}: ${words}`, this.address, code, { cause }));
  }

  #take(frame: Uint8Array): void {
    if (this.#closeReason !== undefined) return;
    const command = decodeFrame(frame);
    if (!isResponse(command)) {
      this.#serve(command);
      return;
    }
    const pending = this.#pending.get(command.opaque);
    if (pending === undefined) return;
    this.#pending.delete(command.opaque);
    pending.resolve(command);
  }

  async #serve(request: Command): Promise<void> {
    const reply = await this.#reply(request).catch(failure);
    if (isOneway(request) || this.#closeReason !== undefined) return;
    try {
      this.#writes.push(answerTo(request, reply));
    } catch (error) {
      this.#writes.push(answerTo(request, failure(error)));
    }
  }

  /** Async, so that what a handler throws is a rejection. */
  async #reply(request: Command): Promise<Reply> {
    return await this.#options.onRequest?.(request, this) ?? {
      code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
      remark: `request type ${request.code} not supported`,
    };
  }

  #await(
    opaque: number,
    name: string,
    { timeout, deadline = performance.now() + timeout }: RequestWait,
    resolve: (answer: Command) => void,
    reject: (reason: unknown) => void,
  ): void {
    this.#pending.set(opaque, { name, timeout, deadline, resolve, reject });
    this.#watch(deadline);
  }

  #nextOpaque(): number {
    do this.#opaque = (this.#opaque + 1) & 0x7fffffff; while (this.#pending.has(this.#opaque));
    return this.#opaque;
  }

  async #abortable<T>(answer: Promise<T>, opaque: number, signal: AbortSignal): Promise<T> {
    const abort = () => {
      this.#pending.get(opaque)?.reject(signal.reason);
      this.#pending.delete(opaque);
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await answer;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** One timer serves all requests: it is set for the earliest deadline and looks at all when it fires. */
  #watch(deadline: number): void {
    if (deadline >= this.#timerDue) return;
    clearTimeout(this.#timer);
    this.#timerDue = deadline;
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, deadline - performance.now()));
  }

  #expire(): void {
    this.#timerDue = Infinity;
    const now = performance.now();
    let next = Infinity;
    for (const [opaque, pending] of this.#pending) {
      if (pending.deadline > now) {
        next = Math.min(next, pending.deadline);
        continue;
      }
      this.#pending.delete(opaque);
      pending.reject(new TimeoutError(`complete ${pending.name} on ${this.address}`, pending.timeout));
      const sentAt = pending.deadline - pending.timeout;
      if (this.#lastReceived >= sentAt) continue;
      this.#silentSince = Math.min(this.#silentSince, sentAt);
      if (now - this.#silentSince < LEAST_SILENCE) continue;
      this.#lost(`nothing was received for ${Math.round(now - this.#lastReceived)} ms`);
      return;
    }
    if (next < Infinity) this.#watch(next);
  }
}

function answerTo({ opaque }: Command, reply: Reply): CommandInit {
  return { ...reply, opaque, flag: FrameFlag.RESPONSE };
}

function failure(error: unknown): Reply {
  const remark = error instanceof Error
    ? `${error.name}: ${error.message}`
    : typeof error === "string"
    ? error
    : "failed";
  return { code: ResponseCode.SYSTEM_ERROR, remark };
}
