/**
 * Why no broker has taken a message back, in words that help.
 *
 * @module
 */

import { ConsumerError, ResponseError, ValidationError } from "../errors.ts";
import { ResponseCode, retryTopic } from "../wire/codes.ts";

/**
 * The error of a message that no broker has taken: what each attempt has met, and what can be done.
 *
 * @param what what could not be sent: `message 7F… of topic "orders"`
 * @param errors what the attempts have met, the first one first
 */
export function sendBackFailure(what: string, group: string, errors: readonly unknown[]): ConsumerError {
  const reasons = errors.map((error) => error instanceof Error ? error.message : String(error));
  const text = `Cannot send ${what} back: ${reasons.join("; nor as a copy: ")}; ${remedyOf(group, errors)}`;
  return new ConsumerError(text, { code: "SEND_BACK_FAILED", retriable: true, cause: errors[0] });
}

function remedyOf(group: string, errors: readonly unknown[]): string {
  const topic = retryTopic(group);
  const codes = errors.map((error) => error instanceof ResponseError ? error.responseCode : undefined);
  if (codes.includes(ResponseCode.NO_PERMISSION)) return `let this client write to topic "${topic}"`;
  if (codes.includes(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST)) return `create the subscription group "${group}"`;
  if (codes.includes(ResponseCode.MESSAGE_ILLEGAL) || errors.some((error) => error instanceof ValidationError)) {
    return "keep its content elsewhere and acknowledge it: with what a retry adds it is larger than brokers take";
  }
  return `see whether topic "${topic}" can be written on any broker`;
}
