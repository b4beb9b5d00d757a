/**
 * One connection as both sides use it: requests out and answers in, requests in and answers out.
 *
 * @module
 */

import { AnswerTooLargeError, NetworkError, RocketMQError } from "../errors.ts";
import { reasonOf } from "../plain_text.ts";
import { FrameFlag, ResponseCode } from "../wire/codes.ts";
import {
  type Command,
  decodeFrame,
  encodeFrame,
  FrameReader,
  isOneway,
  isResponse,
  MAX_FRAME_SIZE,
} from "../wire/frame.ts";
import type { WritableCommand } from "../wire/frame_writer.ts";
import { JsonFields, NO_FIELDS } from "../wire/json_fields.ts";
import { type Call, callOf, ENDLESS, type OutgoingRequest, type Reply, type RequestWait, type Wait } from "./call.ts";
import { requireRemoting } from "./foreign_peer.ts";
import { prepared, type PrepareStep } from "./prepare.ts";
import type { Socket } from "./transport.ts";
import { PendingWaits } from "./pending_waits.ts";
import { WriteQueue } from "./write_queue.ts";
import { inBackground } from "../owned_work.ts";

export type { Call, OutgoingRequest, Reply, RequestWait, Wait } from "./call.ts";

/** Answers a request from the other side; a rejected promise becomes a SYSTEM_ERROR. */
export type RequestHandler = (request: Command, connection: Connection) => Reply | Promise<Reply>;

/** Options of a {@linkcode Connection}. */
export interface ConnectionOptions {
  /** Answers requests from the other side; without it they get REQUEST_CODE_NOT_SUPPORTED. */
  readonly onRequest?: RequestHandler;
  /**
   * From how many bytes on that the other side has not read requests are refused, and a peer is cut off that has
   * answers waiting. @default {64 MiB}
   */
  readonly maxQueuedBytes?: number;
  /**
   * Called when requests have timed out and nothing at all was received since the first of them left, and again with
   * further ones: whoever opened the connection decides. Without it the connection closes then.
   */
  readonly onSilent?: (reason: RocketMQError) => void;
  /** Whether a peer is cut off that sends a frame larger than allowed, as brokers do. @default {false} */
  readonly cutsOversized?: boolean;
  /** Is applied to every request and reply before it is written. */
  readonly prepare?: PrepareStep | undefined;
}

/** From how many bytes on a connection queues nothing more: several of the largest frames. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

/**
 * A socket that speaks frames.
 *
 * Answers find their request by opaque; late ones are dropped. An answer that is too large fails its own request. If
 * requests time out and nothing at all has been received since the first of them left, a second ago at least, the peer
 * may be gone without a word: the connection closes, so that the next request opens another, unless somebody else
 * decides that.
 *
 * A server that answers GO_AWAY takes no more requests over this connection, but still answers those that it has: the
 * connection is drained. It is no longer open, and closes when its last wait has ended. Source: NettyRemotingClient.
 */
export class Connection {
  /** The other side's `host:port`, as it was asked for. */
  readonly address: string;
  /** Our own address on this connection, without port. */
  readonly localHost: string;
  /** Our own port on this connection. */
  readonly localPort: number;
  /** Resolves with the reason when the connection is closed, by either side. Never rejects. */
  readonly closed: Promise<RocketMQError>;
  #socket: Socket;
  #options: ConnectionOptions;
  #writes: WriteQueue;
  #waits: PendingWaits;
  #isDraining = false;
  #closeReason: RocketMQError | undefined;
  #resolveClosed!: (reason: RocketMQError) => void;

  /** Takes a socket over and starts to read it; `address` is how errors name the other side. */
  constructor(socket: Socket, address: string = socket.remoteAddress, options: ConnectionOptions = {}) {
    this.address = address;
    this.localHost = socket.localHost;
    this.localPort = socket.localPort;
    this.#socket = socket;
    this.#options = options;
    this.#waits = new PendingWaits({
      address,
      onSilent: (silence) => this.#silent(silence),
      onEnded: () => this.#closeIfDrained(),
    });
    this.closed = new Promise((resolve) => this.#resolveClosed = resolve);
    this.#writes = new WriteQueue(socket, options.maxQueuedBytes ?? MAX_QUEUED_BYTES, (cause) => this.#lost(cause));
    inBackground(this.#receive(), (error) => this.#lost(error));
  }

  /** Whether new requests should be sent over it. */
  get isOpen(): boolean {
    return this.#closeReason === undefined && !this.#isDraining;
  }

  /** When something was received last, by the monotonic clock; what it brought is handled in the same turn. */
  get lastReceived(): number {
    return this.#waits.lastReceived;
  }

  /** Sends a request; resolves with the answer, whatever its code. */
  request(request: OutgoingRequest, wait: RequestWait): Promise<Command> {
    return new Promise((answered, failed) => this.start(callOf(request, wait, answered, failed)));
  }

  /** Sends a request that nobody answers; resolves when its bytes have been handed to the system. */
  sendOneway(request: OutgoingRequest): Promise<void> {
    return new Promise((answered, failed) => this.hand(callOf(request, ENDLESS, () => answered(), failed)));
  }

  /** Sends a request, as {@linkcode Connection.request} does; the call is called with its end. */
  start(call: Call): void {
    const opaque = this.#waits.next();
    if (this.#send(call, opaque, 0)) this.#waits.add(opaque, call);
  }

  /**
   * Sends a request of which only the way out is waited for: the call ends when its bytes have been handed to the
   * system. Nobody answers it, unless somebody waits for that.
   */
  hand(call: Call, served?: Wait): void {
    const opaque = this.#waits.next();
    if (!this.#send(call, opaque, served === undefined ? FrameFlag.ONEWAY : 0)) return;
    if (served !== undefined) this.#waits.add(opaque, served);
    const stand = this.#waits.next(); // never sent: it stands for the wait among those for answers
    this.#waits.add(stand, call);
    this.#writes.onWritten(() => {
      this.#waits.take(stand)?.answered(WRITTEN);
      this.#closeIfDrained();
    });
  }

  /** Closes the connection; requests that wait for an answer fail with `reason`. */
  close(reason?: RocketMQError): void {
    if (this.#closeReason !== undefined) return;
    this.#closeReason = reason ??
      new NetworkError(`Connection to ${this.address} was closed`, this.address, "CONNECTION_LOST");
    this.#writes.clear();
    try {
      this.#socket.close();
    } catch {
      // A transport of the user's own may throw: the waits must end all the same.
    }
    this.#waits.fail(this.#closeReason);
    this.#resolveClosed(this.#closeReason);
  }

  /** Async, so that the socket's reader is never inside the caller's stack. */
  async #receive(): Promise<void> {
    const reader = new FrameReader((frame) => this.#take(frame), {
      inPlace: true,
      onTooLarge: this.#options.cutsOversized ? undefined : (head, size) => this.#refuse(decodeFrame(head), size),
    });
    let isFirst = true;
    try {
      await this.#socket.receive((bytes) => {
        if (isFirst) requireRemoting(bytes, this.address);
        isFirst = false;
        // What is skipped answers nobody: if the length was a lie, it is silence for as long as requests are in vain.
        if (!reader.isSkipping(bytes.length)) this.#waits.received();
        reader.push(bytes);
      });
      this.#lost("the other side closed it");
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(cause: unknown): void {
    this.close(this.#lossBy(cause));
  }

  #lossBy(cause: unknown): NetworkError {
    const words = reasonOf(cause);
    const code = cause instanceof RocketMQError ? cause.code : "CONNECTION_LOST";
    return new NetworkError(`Lost the connection to ${this.address}: ${words}`, this.address, code, { cause });
  }

  #take(frame: Uint8Array): void {
    if (this.#closeReason !== undefined) return;
    const command = decodeFrame(frame);
    if (!isResponse(command)) {
      inBackground(this.#serve(command), (error) => this.#lost(error));
      return;
    }
    if (command.code === ResponseCode.GO_AWAY) this.#isDraining = true;
    this.#waits.take(command.opaque)?.answered(command);
    this.#closeIfDrained();
  }

  #closeIfDrained(): void {
    if (this.#isDraining && this.#waits.size === 0) this.#lost("it asked for another connection");
  }

  /** A frame is too large, and its bytes are being skipped: only its own call fails. */
  #refuse(command: Command, size: number): void {
    if (this.#closeReason !== undefined) return;
    if (isResponse(command)) {
      const wait = this.#waits.take(command.opaque);
      wait?.failed(new AnswerTooLargeError(wait.name, this.address, size, MAX_FRAME_SIZE));
      this.#closeIfDrained();
    } else if (!isOneway(command)) {
      this.#answer(answerTo(command, failure(`it has ${size} bytes, allowed are ${MAX_FRAME_SIZE}`)));
    }
  }

  async #serve(request: Command): Promise<void> {
    const reply = await this.#reply(request).catch(failure);
    if (isOneway(request) || this.#closeReason !== undefined) return;
    try {
      this.#answer(answerTo(request, reply));
    } catch (error) {
      this.#answer(answerTo(request, failure(error)));
    }
  }

  /** Queues an answer. A peer that does not read its answers gets none: others wait for their requests, too. */
  #answer(answer: WritableCommand): void {
    if (this.#writes.isFull) this.#lost(this.#unread);
    else this.#push(answer);
  }

  #push(command: WritableCommand): void {
    const { prepare } = this.#options;
    this.#writes.push(prepare === undefined ? command : prepared(command, prepare));
  }

  /** Async, so that what a handler throws is a rejection. */
  async #reply(request: Command): Promise<Reply> {
    return await this.#options.onRequest?.(request, this) ?? {
      code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
      remark: `request type ${request.code} not supported`,
    };
  }

  /** Whether a request is on its way now; else its call has failed. */
  #send(call: Call, opaque: number, flag: number): boolean {
    const { signal, code, fields, body, version } = call;
    let reason: unknown = signal?.aborted ? signal.reason : undefined;
    if (this.#writes.isFull) {
      reason ??= new NetworkError(`Cannot write to ${this.address}: ${this.#unread}`, this.address, "WRITE_BACKLOG");
    }
    if (reason === undefined && this.#closeReason === undefined) {
      try {
        this.#push({ code, opaque, flag, fields, body, version });
      } catch (error) {
        reason = error;
      }
    }
    reason ??= this.#closeReason;
    if (reason !== undefined) call.failed(reason);
    return reason === undefined;
  }

  get #unread(): string {
    return `the other side does not read: ${this.#writes.unwritten} bytes wait for it`;
  }

  #silent(silence: number): void {
    const reason = this.#lossBy(`nothing was received for ${Math.round(silence)} ms`);
    if (this.#options.onSilent === undefined) this.close(reason);
    else this.#options.onSilent(reason);
  }
}

/** The answer to a wait for a write: there is none. */
const WRITTEN: Command = decodeFrame(encodeFrame({ code: ResponseCode.SUCCESS, opaque: 0 }));

function answerTo({ opaque }: Command, reply: Reply): WritableCommand {
  const fields = reply.fields === undefined ? NO_FIELDS : JsonFields.ofText(reply.fields);
  return { ...reply, fields, opaque, flag: FrameFlag.RESPONSE };
}

function failure(error: unknown): Reply {
  const remark = error instanceof Error
    ? `${error.name}: ${error.message}`
    : typeof error === "string"
    ? error
    : "failed";
  return { code: ResponseCode.SYSTEM_ERROR, remark };
}
