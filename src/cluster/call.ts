/**
 * One call of a server, from its request to its end.
 *
 * Calls report their end to functions, which promises can be made of: where each of 128 sends under way would hold a
 * chain of promises, it holds one.
 *
 * @module
 */

import { CredentialsError, ResponseError } from "../errors.ts";
import { inBackground } from "../owned_work.ts";
import type { Call, Connection, Wait } from "../transport/connection.ts";
import { ResponseCode } from "../wire/codes.ts";
import { refusalOf } from "./credentials.ts";
import { decodeHeader, type HeaderOf } from "../wire/fields.ts";
import type { BodyWriter, Command } from "../wire/frame.ts";
import type { RequestSpec } from "../wire/requests.ts";
import type { WireHeader } from "../wire/wire_header.ts";

/** How one call is made. */
export interface CallOptions {
  /** The request's body. */
  readonly body?: Uint8Array | undefined;
  /** Milliseconds for the whole call, connecting included. */
  readonly timeout: number;
  /** When that is, by the monotonic clock. @default {performance.now() + timeout} */
  readonly deadline?: number | undefined;
  /** Ends the call early, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Codes besides success that are an answer instead of an error. */
  readonly accept?: readonly number[];
}

/** How a call is made whose parts are ready to be written. */
export interface PreparedCallOptions extends Omit<CallOptions, "body"> {
  /** The request's body. */
  readonly body?: Uint8Array | BodyWriter | undefined;
}

/** A successful answer, or one whose code the caller accepts. */
export interface Answer<S extends RequestSpec> {
  /** The response code. */
  readonly code: number;
  /** The typed header. */
  readonly header: HeaderOf<S["answer"]>;
  /** The body; empty if there is none. */
  readonly body: Uint8Array;
  /** The server's words. */
  readonly remark: string;
  /** The server's version, an ordinal of MQVersion. */
  readonly version: number;
  /** When it was received, by the monotonic clock. */
  readonly receivedAt: number;
}

/** A server whose connections come and go. */
export interface CallTarget {
  /** Its address, for errors. */
  readonly address: string;
  /** Takes new credentials after a refusal: whether there are others. Undefined where requests are not signed. */
  readonly renewCredentials: (() => Promise<boolean>) | undefined;
  /** Begins a call over the connection that is open or the next one. */
  begin(call: OpenCall): void;
}

/** What calls of all kinds have. */
export abstract class OpenCall implements Call {
  /** The request's name, for errors. */
  readonly name: string;
  /** The request's code. */
  readonly code: number;
  /** The header fields. */
  readonly fields: WireHeader;
  /** The request's body. */
  readonly body: Uint8Array | BodyWriter | undefined;
  /** Milliseconds for the whole call, connecting included. */
  timeout: number;
  /** When that is, by the monotonic clock. */
  deadline: number;
  /** Ends the call early, with the signal's reason. */
  readonly signal: AbortSignal | undefined;
  /** Called with the reason why there is no answer. */
  readonly failed: (reason: unknown) => void;
  /** Whether the server may have received the request. */
  hasLeft = false;

  /** Makes a call that has not begun; `failed` is called with the reason unless it is answered. */
  constructor(
    { name, code }: RequestSpec,
    fields: WireHeader,
    { body, timeout, deadline = performance.now() + timeout, signal }: PreparedCallOptions,
    failed: (reason: unknown) => void,
  ) {
    this.name = name;
    this.code = code;
    this.fields = fields;
    this.body = body;
    this.timeout = timeout;
    this.deadline = deadline;
    this.signal = signal;
    this.failed = failed;
  }

  /** Sends it over an open connection of a server. */
  abstract sendOver(connection: Connection, target: CallTarget): void;

  /** Called with the answer. */
  abstract answered(answer: Command): void;
}

/**
 * A call that waits for its answer. It fails with a {@linkcode ResponseError} for a code that is neither success nor
 * accepted, and as a {@linkcode Connection} fails calls.
 */
export class AnsweredCall<S extends RequestSpec> extends OpenCall {
  #spec: S;
  #accept: readonly number[];
  #answered: (answer: Answer<S>) => void;
  #connection: Connection | undefined;
  #target: CallTarget | undefined;
  #wasRefused = false;
  /** Whether it was sent again with new credentials. */
  #hasRenewed = false;

  /** Makes a call that has not begun. */
  constructor(
    spec: S,
    fields: WireHeader,
    options: PreparedCallOptions,
    answered: (answer: Answer<S>) => void,
    failed: (reason: unknown) => void,
  ) {
    super(spec, fields, options, failed);
    this.#spec = spec;
    this.#accept = options.accept ?? NONE;
    this.#answered = answered;
  }

  override sendOver(connection: Connection, target: CallTarget): void {
    this.#connection = connection;
    this.#target = target;
    this.hasLeft = true;
    connection.start(this);
  }

  override answered(answer: Command): void {
    // A broker that shuts down refuses requests over its old connections. Source: NettyRemotingAbstract.
    if (answer.code === ResponseCode.GO_AWAY && !this.#wasRefused) {
      this.#wasRefused = true;
      this.hasLeft = false;
      this.#target!.begin(this);
      return;
    }
    let read: Answer<S>;
    try {
      read = this.#read(answer);
    } catch (error) {
      const renew = this.#target!.renewCredentials;
      if (error instanceof CredentialsError && renew !== undefined && !this.#hasRenewed) this.#renewed(renew(), error);
      else this.failed(error);
      return;
    }
    this.#answered(read);
  }

  /** Sends it once more, with other credentials if there are others. */
  #renewed(renewed: Promise<boolean>, refusal: CredentialsError): void {
    this.#hasRenewed = true;
    const again = renewed.then((areOthers) => {
      if (!areOthers) throw refusal;
      this.hasLeft = false;
      this.#target!.begin(this);
    });
    inBackground(again, this.failed);
  }

  #read({ code, fields, body, version, remark = "" }: Command): Answer<S> {
    const { name, answer } = this.#spec;
    if (code !== ResponseCode.SUCCESS && !this.#accept.includes(code)) {
      const error = new ResponseError(name, code, this.#target!.address, remark, RETRIABLE.has(code));
      throw refusalOf(error) ?? error;
    }
    const header = decodeHeader(answer, fields, `${name} answer`) as HeaderOf<S["answer"]>;
    return { code, body, version, remark, header, receivedAt: this.#connection!.lastReceived };
  }
}

/** How long a {@linkcode PatientCall} waits, and what it reports before its end. */
export interface PatientCallOptions extends PreparedCallOptions {
  /** When a late answer has no use any more, by the monotonic clock; not before `deadline`. */
  readonly end: number;
  /** Is called at `deadline`, if the request has left and has no answer, and there is time until `end`. */
  readonly overdue: () => void;
}

/**
 * A call with a deadline at which its caller may do something else, and an end until which a late answer still counts.
 * What has not left by the deadline fails then, and never leaves.
 */
export class PatientCall<S extends RequestSpec> extends AnsweredCall<S> {
  #end: number;
  #overdue: () => void;

  /** Makes a call that has not begun. */
  constructor(
    spec: S,
    fields: WireHeader,
    options: PatientCallOptions,
    answered: (answer: Answer<S>) => void,
    failed: (reason: unknown) => void,
  ) {
    super(spec, fields, options, answered, failed);
    this.#end = options.end;
    this.#overdue = options.overdue;
  }

  /** Waits until the end, once. */
  prolong(): boolean {
    const more = this.#end - this.deadline;
    if (more <= 0) return false;
    this.deadline += more;
    this.timeout += more;
    queueMicrotask(this.#overdue); // the connection is still looking at its waits
    return true;
  }
}

/** How long a {@linkcode OnewayCall} waits. */
export interface OnewayCallOptions extends PreparedCallOptions {
  /** When what has left must have been written, by the monotonic clock; not before `deadline`. @default {deadline} */
  readonly end?: number;
}

/**
 * A call that nobody answers: it is over when its bytes have been handed to the system. It fails if no connection can
 * be opened, if that breaks before the bytes are gone, or if the other side does not take them in time.
 */
export class OnewayCall extends OpenCall {
  #handed: () => void;
  #served: Wait | undefined;
  #more: number;

  /**
   * Makes a call that has not begun.
   *
   * @param options what has not left by the deadline never leaves; what has left has until the `end` to be written
   * @param onServed requests an answer all the same; called when it is there, or will not come
   */
  constructor(
    spec: RequestSpec,
    fields: WireHeader,
    options: OnewayCallOptions,
    handed: () => void,
    failed: (reason: unknown) => void,
    onServed?: () => void,
  ) {
    super(spec, fields, options, failed);
    this.#handed = handed;
    this.#more = (options.end ?? this.deadline) - this.deadline;
    if (onServed === undefined) return;
    const timeout = this.timeout + this.#more;
    this.#served = {
      name: this.name,
      timeout,
      deadline: this.deadline + this.#more,
      answered: onServed,
      failed: onServed,
    };
  }

  override sendOver(connection: Connection): void {
    this.hasLeft = true;
    this.timeout += this.#more;
    this.deadline += this.#more;
    connection.hand(this, this.#served);
  }

  override answered(): void {
    this.#handed();
  }
}

const NONE: readonly number[] = [];

/** Codes after which the same request may succeed, here or on another broker. Source: DefaultMQProducer. */
const RETRIABLE: ReadonlySet<number> = new Set([
  ResponseCode.SYSTEM_ERROR,
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.NO_PERMISSION,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.NO_BUYER_ID,
  ResponseCode.NOT_IN_CURRENT_UNIT,
  ResponseCode.FLOW_CONTROL,
  ResponseCode.GO_AWAY,
]);
