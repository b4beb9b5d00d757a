/**
 * The process queue: what it costs to receive, hand out and settle messages, in order and out of it.
 *
 * Run it with the others by `deno task bench:micro`.
 *
 * @module
 */

import { type HeldMessage, ProcessQueue } from "../../src/consumer/queue/process_queue.ts";
import { decodeRecords, encodeRecord, type StoredRecordFields } from "../../src/wire/record.ts";

const ANSWERS = 32;
const queue = { topic: "orders", broker: "broker-a", queueId: 0 };
const fields: StoredRecordFields = {
  topic: "orders",
  queueId: 0,
  queueOffset: 0,
  commitLogOffset: 0,
  body: new Uint8Array(256).fill(120),
  properties: "",
  flag: 0,
  sysFlag: 0,
  bornTimestamp: 0,
  bornHost: "127.0.0.1:1",
  storeTimestamp: 0,
  storeHost: "127.0.0.1:1",
  reconsumeTimes: 0,
};
/** Answers of 32 messages, one after the other. */
const answers: readonly (readonly HeldMessage[])[] = Array.from(
  { length: ANSWERS },
  (_, answer) =>
    Array.from({ length: 32 }, (_, i) => {
      const record = encodeRecord({ ...fields, queueOffset: answer * 32 + i });
      return decodeRecords(record, queue).messages[0]!;
    }),
);

Deno.bench("1 024 messages: put 32, take 32, settle 32", { group: "process queue" }, () => {
  const held = new ProcessQueue(0);
  answers.forEach((messages, i) => {
    held.put(messages, (i + 1) * 32);
    const { first } = held.take(32)!;
    held.settleRange(first, 32);
  });
});

Deno.bench("1 024 messages: put all, take and settle one by one", { group: "process queue" }, () => {
  const held = new ProcessQueue(0);
  answers.forEach((messages, i) => held.put(messages, (i + 1) * 32));
  for (let taken = held.take(1); taken !== undefined; taken = held.take(1)) held.settle(taken.first);
});

Deno.bench("1 024 messages: put all, take all, settle from the last to the first", { group: "process queue" }, () => {
  const held = new ProcessQueue(0);
  answers.forEach((messages, i) => held.put(messages, (i + 1) * 32));
  while (held.take(32) !== undefined);
  for (let number = ANSWERS * 32 - 1; number >= 0; number--) held.settle(number);
});

Deno.bench("1 024 messages: put all, take, put back, wake up, take, settle", { group: "process queue" }, () => {
  const held = new ProcessQueue(0);
  answers.forEach((messages, i) => held.put(messages, (i + 1) * 32));
  for (let taken = held.take(1); taken !== undefined; taken = held.take(1)) {
    held.requeue(taken.first);
    held.endRest(taken.first);
    held.take(1);
    held.settle(taken.first);
  }
});

Deno.bench("1 024 messages, each with a key of its own: put 32, take 32, settle 32", { group: "process queue" }, () => {
  const held = new ProcessQueue(0, ({ queueOffset }) => String(queueOffset));
  answers.forEach((messages, i) => {
    held.put(messages, (i + 1) * 32);
    const { first } = held.take(32)!;
    held.settleRange(first, 32);
  });
});
