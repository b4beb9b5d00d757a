/**
 * What a producer gets for a message that a broker has stored.
 *
 * @module
 */

import type { Answer } from "../cluster/endpoint.ts";
import type { MessageQueue } from "../message.ts";
import { ResponseCode } from "../wire/codes.ts";
import type { sendMessage } from "../wire/requests.ts";

/**
 * How safely a message is stored.
 *
 * | status | the broker has the message in memory, and |
 * |---|---|
 * | `"stored"` | did with it all that it is configured to wait for |
 * | `"flushDiskTimeout"` | did not get it onto its disk in time |
 * | `"flushSlaveTimeout"` | did not get it to a replica in time |
 * | `"slaveNotAvailable"` | had no replica to give it to |
 *
 * Only a broker that flushes or replicates before it answers has others than `"stored"`; they are no errors, and are
 * not tried again.
 */
export type SendStatus = "stored" | "flushDiskTimeout" | "flushSlaveTimeout" | "slaveNotAvailable";

/** Tells that a message is stored, and where. */
export interface SendReceipt {
  /** The message's unique key, which is its `messageId` at consumers; the same in every attempt. */
  readonly messageId: string;
  /** Where it is stored: store host and commit log offset in hexadecimal. */
  readonly offsetMessageId: string;
  /** The queue that it was sent to. */
  readonly queue: MessageQueue;
  /** Its offset in that queue; of a delayed message, its offset among those that wait. */
  readonly queueOffset: number;
  /** How safely it is stored. */
  readonly status: SendStatus;
  /** The transaction's id, if the broker told one: 5.x brokers repeat the unique key here for every single message. */
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

/** What came back for a request that stored something, and the queue that it was sent to. */
export interface Delivered {
  /** The broker's answer. */
  readonly answer: Pick<Answer<typeof sendMessage>, "code" | "header">;
  /** The queue that was asked for. */
  readonly queue: MessageQueue;
}

/** The receipt of a single message. */
export function receiptOf(delivered: Delivered, messageId: string): SendReceipt {
  const { msgId: offsetMessageId, queueOffset, transactionId } = delivered.answer.header;
  const status = statusOf(delivered);
  const queue = queueOf(delivered);
  if (transactionId === undefined) return { messageId, offsetMessageId, queue, queueOffset, status };
  return { messageId, offsetMessageId, queue, queueOffset, status, transactionId };
}

/** The receipts of the messages of a batch: brokers answer with their ids in a row, and the offset of the first. */
export function receiptsOf(delivered: Delivered, messages: readonly { messageId: string }[]): SendReceipt[] {
  const { msgId, queueOffset: first } = delivered.answer.header;
  const offsetIds = msgId.split(",");
  const status = statusOf(delivered);
  const queue = queueOf(delivered);
  return messages.map(({ messageId }, i) => {
    const offsetMessageId = offsetIds[i] ?? offsetIds[0]!;
    return { messageId, offsetMessageId, queue, queueOffset: first + i, status };
  });
}

function statusOf({ answer }: Delivered): SendStatus {
  return STATUS.get(answer.code) ?? "stored";
}

/** The queue that has the messages, which is the one that was asked for, unless the broker chose another. */
function queueOf({ answer: { header: { queueId } }, queue }: Delivered): MessageQueue {
  return queueId === queue.queueId ? queue : { ...queue, queueId };
}
