/**
 * Why no broker has taken a message back, in words that help.
 *
 * @module
 */

import { ConsumerError, ProducerError, ResponseError, ValidationError } from "../../errors.ts";
import { reasonOf } from "../../plain_text.ts";
import { ResponseCode } from "../../wire/codes.ts";
import { retryTopic } from "../../wire/names.ts";
import { SAFE_GROUP_LENGTH } from "../group_length.ts";

/** Source: PutMessageStatus. */
const STORE_REFUSALS: readonly string[] = ["MESSAGE_ILLEGAL", "PROPERTIES_SIZE_EXCEEDED"];

/**
 * The error of a message that no broker has taken: what each attempt has met, and what can be done.
 *
 * @param what what could not be sent: `message 7F… of topic "orders"`
 * @param errors what the attempts have met, the first one first
 */
export function sendBackFailure(what: string, group: string, errors: readonly unknown[]): ConsumerError {
  const reasons = errors.map(reasonOf);
  const text = `Cannot send ${what} back: ${reasons.join("; nor as a copy: ")}; ${remedyOf(group, errors)}`;
  return new ConsumerError(text, { code: "SEND_BACK_FAILED", retriable: true, cause: errors[0] });
}

function remedyOf(group: string, errors: readonly unknown[]): string {
  const topic = retryTopic(group);
  if (group.length > SAFE_GROUP_LENGTH) {
    return `take a group of at most ${SAFE_GROUP_LENGTH} characters: its retry topic or dead letter queue has too long a name`;
  }
  const causes = errors.map((error) => error instanceof ProducerError ? error.cause : error);
  const codes = causes.map((cause) => cause instanceof ResponseError ? cause.responseCode : undefined);
  if (codes.includes(ResponseCode.NO_PERMISSION)) return `let this client write to topic "${topic}"`;
  if (codes.includes(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST)) return `create the subscription group "${group}"`;
  if (causes.some(isTooLarge)) {
    return "keep its content elsewhere and acknowledge it: with what a retry adds it is larger than brokers take";
  }
  return `see whether topic "${topic}" can be written on any broker`;
}

/** Whether a message is refused for what it is. A send-back is answered with the store's own word for it. */
function isTooLarge(error: unknown): boolean {
  if (error instanceof ValidationError) return true;
  if (!(error instanceof ResponseError)) return false;
  return error.responseCode === ResponseCode.MESSAGE_ILLEGAL || STORE_REFUSALS.includes(error.remark);
}
