/**
 * The receipt of a message that a broker has stored.
 *
 * @module
 */

import type { Answer } from "../cluster/endpoint.ts";
import type { MessageQueue } from "../message.ts";
import { ResponseCode } from "../wire/codes.ts";
import type { sendMessage } from "../wire/requests.ts";
import type { SendResult } from "./pending_send.ts";

/**
 * How safely a message is stored.
 *
 * | status | the broker has the message in memory, and |
 * |---|---|
 * | `"stored"` | has completed all that it is configured to wait for |
 * | `"flushDiskTimeout"` | has not flushed it to disk in time |
 * | `"flushSlaveTimeout"` | has not replicated it in time |
 * | `"slaveNotAvailable"` | has no replica available |
 *
 * Only a broker that flushes or replicates before it answers returns others than `"stored"`. They are not errors, and
 * the send is not retried.
 *
 * @category Produce
 */
export type SendStatus = "stored" | "flushDiskTimeout" | "flushSlaveTimeout" | "slaveNotAvailable";

/**
 * States that a message is stored, and where.
 *
 * @category Produce
 */
export interface SendReceipt {
  /** The message's unique key, which is its `messageId` at consumers; the same in every attempt. */
  readonly messageId: string;
  /** Where it is stored: store host and commit log offset in hexadecimal. */
  readonly offsetMessageId: string;
  /** The queue that stores it. */
  readonly queue: MessageQueue;
  /** Its offset in that queue; for a delayed message, its offset among the delayed messages. */
  readonly queueOffset: number;
  /** How safely it is stored. */
  readonly status: SendStatus;
  /** The transaction's id, if the broker returned one: 5.x brokers repeat the unique key here for single messages. */
  readonly transactionId?: string;
}

const STATUS: ReadonlyMap<number, SendStatus> = new Map([
  [ResponseCode.SUCCESS, "stored"],
  [ResponseCode.FLUSH_DISK_TIMEOUT, "flushDiskTimeout"],
  [ResponseCode.SLAVE_NOT_AVAILABLE, "slaveNotAvailable"],
  [ResponseCode.FLUSH_SLAVE_TIMEOUT, "flushSlaveTimeout"],
]);

/** The answers to a send that are no errors. */
export const STORED_CODES: readonly number[] = [...STATUS.keys()];

/** A broker's answer to a request that stored something. */
export type StoredAnswer = Pick<Answer<typeof sendMessage>, "code" | "header">;

/** The result of a request that stored something. */
export type StoredResult = SendResult<StoredAnswer>;

/** The receipt of a single message. */
export function receiptOf(result: StoredResult, messageId: string): SendReceipt {
  const { msgId: offsetMessageId, queueOffset, transactionId } = result.answer.header;
  const status = statusOf(result);
  const queue = queueOf(result);
  if (transactionId === undefined) return { messageId, offsetMessageId, queue, queueOffset, status };
  return { messageId, offsetMessageId, queue, queueOffset, status, transactionId };
}

/** The receipts of the messages of a batch: brokers answer with a list of their ids, and the offset of the first. */
export function receiptsOf(result: StoredResult, messages: readonly { messageId: string }[]): SendReceipt[] {
  const { msgId, queueOffset: first } = result.answer.header;
  const offsetIds = msgId.split(",");
  const status = statusOf(result);
  const queue = queueOf(result);
  return messages.map(({ messageId }, i) => {
    const offsetMessageId = offsetIds[i] ?? offsetIds[0]!;
    return { messageId, offsetMessageId, queue, queueOffset: first + i, status };
  });
}

function statusOf({ answer }: StoredResult): SendStatus {
  return STATUS.get(answer.code) ?? "stored";
}

/** The queue that stores the messages: the one of the request, unless the broker chose another. */
function queueOf({ answer: { header: { queueId } }, queue }: StoredResult): MessageQueue {
  return queueId === queue.queueId ? queue : { ...queue, queueId };
}
