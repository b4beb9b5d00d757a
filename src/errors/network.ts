/**
 * Errors of connections, name servers and brokers.
 *
 * @module
 */

import { excerpt } from "../plain_text.ts";
import { RocketMQError } from "./base.ts";

/**
 * A connection could not be made, broke, or carried bytes that are no remoting frame.
 *
 * @category Errors
 */
export class NetworkError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "NetworkError";
  /** The `host:port` of the other side; empty where there is none. */
  readonly address: string;

  /**
   * Makes the error; `code` is `"CONNECT_FAILED"`, `"CONNECTION_LOST"`, `"MALFORMED_FRAME"`, `"ANSWER_TOO_LARGE"` or
   * `"WRITE_BACKLOG"`.
   */
  constructor(message: string, address: string, code: string, options: ErrorOptions & { retriable?: boolean } = {}) {
    super(message, { retriable: true, ...options, code });
    this.address = address;
  }
}

/**
 * An answer is larger than a frame may be. The connection goes on, and so do the other calls on it.
 *
 * @category Errors
 */
export class AnswerTooLargeError extends NetworkError {
  /** The class's name, also after bundling. */
  override name = "AnswerTooLargeError";
  /** The answer's size, in bytes. */
  readonly size: number;
  /** The most bytes that an answer may have. */
  readonly limit: number;

  /** Makes the error; `request` is what was asked, by its name in the request table. */
  constructor(request: string, address: string, size: number, limit: number) {
    super(
      `Cannot take the answer to ${request} from ${address}: it has ${size} bytes, allowed are ${limit}; ask for fewer ` +
        `messages at a time, or lower the broker's maxTransferBytesOnMessageInMemory and ` +
        `maxTransferBytesOnMessageInDisk`,
      address,
      "ANSWER_TOO_LARGE",
    );
    this.size = size;
    this.limit = limit;
  }
}

/**
 * No name server could be used, or what answered is not a name server.
 *
 * @category Errors
 */
export class NameServerError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "NameServerError";
}

/**
 * The broker that a call needs is in no route, or cannot be reached.
 *
 * @category Errors
 */
export class BrokerNotAvailableError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "BrokerNotAvailableError";
  /** The broker's name. */
  readonly broker: string;

  /** Makes the error; `broker` is the broker's name. */
  constructor(message: string, broker: string, options: ErrorOptions = {}) {
    super(message, { ...options, code: "BROKER_NOT_AVAILABLE", retriable: true });
    this.broker = broker;
  }
}

/**
 * The credentials are missing, or brokers refuse them: the key or the secret is wrong, or the account is disabled.
 *
 * @category Errors
 */
export class CredentialsError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "CredentialsError";

  /** Makes the error; it never holds a secret. */
  constructor(message: string, options: ErrorOptions = {}) {
    super(message, { ...options, code: "CREDENTIALS_REFUSED" });
  }
}

/**
 * The account has not the right to do this.
 *
 * @category Errors
 */
export class PermissionError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "PermissionError";
  /** What the right is lacking on, in the broker's words: `"Topic:orders"`; empty if it names nothing. */
  readonly resource: string;
  /** What was requested, by its name in the request table: `"SendMessage"`. */
  readonly action: string;

  /** Makes the error from a broker's answer. */
  constructor(answer: ResponseError, resource: string) {
    const { request, address, remark } = answer;
    const on = resource === "" ? "" : ` on ${excerpt(resource)}`;
    super(
      `Cannot complete ${request} on ${excerpt(address)}: the account has no right for it${on}: "${
        excerpt(remark)
      }"; ` +
        `grant it (docs/security.md lists the rights of each kind of client)`,
      { code: "NO_PERMISSION", cause: answer },
    );
    this.resource = resource;
    this.action = request;
  }
}

/**
 * A broker or name server answered with a code other than success.
 *
 * @category Errors
 */
export class ResponseError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "ResponseError";
  /** What was asked, by its name in the request table: `"QueryConsumerOffset"`. */
  readonly request: string;
  /** The answer's code, as in Java's `ResponseCode`: 22 is "no offset stored". */
  readonly responseCode: number;
  /** The `host:port` that answered. */
  readonly address: string;
  /** The server's own words, whole and unchanged, not fit to be printed as they are; empty if it sent none. */
  readonly remark: string;

  /** Makes the error from what was asked and what came back. */
  constructor(request: string, responseCode: number, address: string, remark: string, retriable = false) {
    super(`Cannot complete ${request} on ${excerpt(address)}: server answered ${responseCode} "${excerpt(remark)}"`, {
      code: `RESPONSE_${responseCode}`,
      retriable,
    });
    this.request = request;
    this.responseCode = responseCode;
    this.address = address;
    this.remark = remark;
  }
}
