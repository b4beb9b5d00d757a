import { assertEquals, assertThrows } from "@std/assert";
import { NetworkError, ValidationError } from "../../src/errors.ts";
import { encodeBatch } from "../../src/wire/batch.ts";
import { decodeHeader } from "../../src/wire/fields.ts";
import { decodeFrame } from "../../src/wire/frame.ts";
import { join } from "../../src/wire/join.ts";
import {
  changedPopReceipt,
  formatPopInfo,
  formatPopReceipt,
  parseMsgOffsetInfo,
  parseOrderCountInfo,
  parsePopReceipt,
  parsePopRetry,
  parseStartOffsetInfo,
  popMessageKey,
  popQueueKey,
  type PopReceipt,
  popRetryOf,
  popRetryTopic,
  realPopTopic,
} from "../../src/wire/pop.ts";
import { batchAcks, decodeAckBits, encodeAckBits } from "../../src/wire/pop_acks.ts";
import { receiveBroken, receivePopped } from "../../src/wire/pop_receive.ts";
import { encodeProperties } from "../../src/wire/properties.ts";
import { type BrokenRecord, decodeRecords, encodeRecord, type StoredRecordFields } from "../../src/wire/record.ts";
import { popMessage } from "../../src/wire/requests.ts";
import golden from "./golden/pops.json" with { type: "json" };
import { SeededRandom } from "./seeded_random.ts";

const receipt: PopReceipt = {
  startOffset: 10,
  popTime: 1_700_000_000_123,
  invisibleTime: 60_000,
  reviveQueueId: 3,
  retry: 0,
  broker: "broker-a",
  queueId: 2,
  queueOffset: 12,
};
const text = "10 1700000000123 60000 3 0 broker-a 2 12";

/** The fields of a record that say nothing here. */
const plain: StoredRecordFields = {
  topic: "orders",
  queueId: 0,
  queueOffset: 0,
  commitLogOffset: 0,
  flag: 0,
  sysFlag: 0,
  bornTimestamp: 0,
  bornHost: "127.0.0.1:1",
  storeTimestamp: 0,
  storeHost: "127.0.0.1:2",
  reconsumeTimes: 0,
  body: Uint8Array.of(1),
  properties: encodeProperties([]),
};

/** Records as an answer to a pop of `orders` has them, read. */
function popped(
  ...records: { queueId: number; queueOffset: number; topic?: string; properties?: [string, string][] }[]
) {
  const bytes = records.map(({ queueId, queueOffset, topic = "orders", properties = [] }, commitLogOffset) =>
    encodeRecord({ ...plain, topic, queueId, queueOffset, commitLogOffset, properties: encodeProperties(properties) })
  );
  return decodeRecords(join(bytes), { topic: "orders", broker: "broker-a", queueId: -1 }).messages;
}

Deno.test("formatPopReceipt() and parsePopReceipt() write and read the eight fields of a receipt", () => {
  assertEquals(formatPopReceipt(receipt), text);
  assertEquals(parsePopReceipt(text), receipt);
  for (const retry of [0, 1, 2] as const) {
    const other = { ...receipt, retry, startOffset: 0, reviveQueueId: 999, broker: "b" };
    assertEquals(parsePopReceipt(formatPopReceipt(other)), other);
  }
});

Deno.test("parsePopReceipt() refuses what is no receipt", () => {
  const bad = [
    "",
    "10",
    "10 1700000000123 60000 3 0 broker-a 2", // a receipt of a queue, as Java builds one for acks of whole deliveries
    `${text} 1`,
    text.replace("10 ", "x "),
    text.replace(" 60000 ", " 6e4 "),
    text.replace(" 3 0 ", " 3 3 "),
    text.replace(" 12", " 12345678901234567890"),
  ];
  for (const each of bad) {
    assertEquals(assertThrows(() => parsePopReceipt(each), NetworkError).code, "MALFORMED_FRAME", each);
  }
});

Deno.test("realPopTopic() names the topic that an ack must name", () => {
  assertEquals(realPopTopic("billing", "orders", 0), "orders");
  assertEquals(realPopTopic("billing", "orders", 1), "%RETRY%billing_orders");
  assertEquals(realPopTopic("billing", "orders", 2), "%RETRY%billing+orders");
  assertEquals(popRetryTopic("billing", "orders"), "%RETRY%billing_orders");
});

Deno.test("popRetryOf() distinguishes the kinds of topics", () => {
  assertEquals(["orders", "a+b", "%RETRY%billing_orders", "%RETRY%billing+orders"].map(popRetryOf), [0, 0, 1, 2]);
});

Deno.test("the readers of infos read what formatPopInfo() writes", () => {
  const starts = new Map([[popQueueKey(0, 3), 7], [popQueueKey(1, 0), 0]]);
  assertEquals(formatPopInfo(starts), "0 3 7;1 0 0");
  assertEquals(parseStartOffsetInfo("0 3 7;1 0 0"), starts);
  const offsets = new Map([[popQueueKey(0, 3), [7, 9]], [popQueueKey(2, 0), [0]]]);
  assertEquals(formatPopInfo(offsets), "0 3 7,9;2 0 0");
  assertEquals(parseMsgOffsetInfo("0 3 7,9;2 0 0"), offsets);
  const counts = new Map([[popQueueKey(0, 3), 0], [popMessageKey(0, 3, 9), 2]]);
  assertEquals(formatPopInfo(counts), "0 3 0;0 qo3%9 2");
  assertEquals(parseOrderCountInfo("0 3 0;0 qo3%9 2"), counts);
  for (const parse of [parseStartOffsetInfo, parseMsgOffsetInfo, parseOrderCountInfo]) {
    assertEquals([...parse("")], []);
    for (const bad of ["0", "0 3", "0 3 x", "3 3 7", "0 3 7 8", "0 3 7;", "0 3 7;0 3 8"]) {
      assertThrows(() => parse(bad), NetworkError, "Cannot read a POP", bad);
    }
  }
});

Deno.test("receivePopped() makes receipts of the answer, and keeps those that come with messages", () => {
  const brought = "4 1700000000123 60000 2 1 broker-a 0 5";
  const messages = popped(
    { queueId: 0, queueOffset: 7 },
    { queueId: 3, queueOffset: 1 },
    { queueId: 0, queueOffset: 9 },
    { queueId: 0, queueOffset: 5, properties: [["POP_CK", brought], ["1ST_POP_TIME", "1699999999000"]] },
  );
  const answer = {
    popTime: 1_700_000_000_123,
    invisibleTime: 60_000,
    reviveQid: 4,
    restNum: 0,
    startOffsetInfo: "0 0 7;0 3 1;1 0 5",
    msgOffsetInfo: "0 0 7,9;0 3 1;1 0 5",
  };
  const { popped: received } = receivePopped(messages, answer, "broker-a");
  assertEquals(received.map((each) => formatPopReceipt(each.receipt)), [
    "7 1700000000123 60000 4 0 broker-a 0 7",
    "1 1700000000123 60000 4 0 broker-a 3 1",
    "7 1700000000123 60000 4 0 broker-a 0 9",
    brought,
  ]);
  assertEquals(received.map((each) => each.message), messages);
  assertEquals(received.map((each) => each.firstPopTime - answer.popTime), [0, 0, 0, -1_123]);
});

Deno.test("receivePopped() takes a message's position, not its offset, for the one that is acked", () => {
  const messages = popped({ queueId: 0, queueOffset: 7 }, { queueId: 0, queueOffset: 8 });
  const answer = { popTime: 1, invisibleTime: 2, reviveQid: 3, restNum: 0 };
  const infos = { startOffsetInfo: "0 0 100", msgOffsetInfo: "0 0 100,101" };
  const offsets = receivePopped(messages, { ...answer, ...infos }, "b").popped.map(({ receipt }) =>
    receipt.queueOffset
  );
  assertEquals(offsets, [100, 101]);
});

Deno.test("receivePopped() is not misled by a neighbour that cannot be read", () => {
  const messages = popped({ queueId: 0, queueOffset: 8 }, { queueId: 0, queueOffset: 9 });
  const answer = { popTime: 1, invisibleTime: 2, reviveQid: 3, restNum: 0, startOffsetInfo: "0 0 7" };
  const offsets = receivePopped(messages, { ...answer, msgOffsetInfo: "0 0 7,8,9" }, "b").popped
    .map(({ receipt }) => receipt.queueOffset);
  assertEquals(offsets, [8, 9], "7 is the offset of a record that cannot be read");
  for (const msgOffsetInfo of ["0 0 100,101,102", "0 1 8,9", "1 0 8,9"]) {
    const { popped, strange } = receivePopped(messages, { ...answer, msgOffsetInfo }, "b");
    assertEquals([popped, strange.length, strange[0]!.error.code], [[], 2, "MALFORMED_FRAME"], msgOffsetInfo);
  }
});

Deno.test("receivePopped() takes the messages of an inner batch for one record, which no ack can divide", () => {
  const entry = { properties: encodeProperties([]), flag: 0 };
  const body = encodeBatch([{ ...entry, body: Uint8Array.of(1) }, { ...entry, body: Uint8Array.of(2) }]);
  const inner = encodeProperties([["INNER_BASE", "7"], ["INNER_NUM", "2"]]);
  const { messages } = decodeRecords(
    join([
      encodeRecord({ ...plain, commitLogOffset: 1_000, queueOffset: 7, sysFlag: 0xc0, body, properties: inner }),
      encodeRecord({ ...plain, commitLogOffset: 2_000, queueOffset: 9 }),
    ]),
    { topic: "orders", broker: "b", queueId: -1 },
  );
  const answer = {
    popTime: 1,
    invisibleTime: 2,
    reviveQid: 3,
    restNum: 0,
    startOffsetInfo: "0 0 7",
    msgOffsetInfo: "0 0 7,9",
  };
  assertEquals(messages.map(({ queueOffset }) => queueOffset), [7, 8, 9]);
  const { popped, strange } = receivePopped(messages, answer, "b");
  assertEquals(popped.map(({ receipt }) => receipt.queueOffset), [9]);
  const [{ queueId, queueOffset, commitLogOffset }] = strange as [BrokenRecord];
  assertEquals([strange.length, queueId, queueOffset, commitLogOffset], [1, 0, 7, 1_000]);
});

Deno.test("receivePopped() believes no receipt that a message brings from elsewhere", () => {
  const answer = {
    popTime: 1,
    invisibleTime: 2,
    reviveQid: 3,
    restNum: 0,
    startOffsetInfo: "0 0 7",
    msgOffsetInfo: "0 0 7",
  };
  for (const brought of ["7 99 2 3 0 b 0 7", "7 1 2 3 0 b 0 8", "7 1 2 3 0 b 1 7", "7 1 2 3 1 b 0 7"]) {
    const messages = popped({ queueId: 0, queueOffset: 7, properties: [["POP_CK", brought]] });
    const [received] = receivePopped(messages, answer, "b").popped;
    assertEquals(formatPopReceipt(received!.receipt), "7 1 2 3 0 b 0 7", brought);
  }
});

Deno.test("receiveBroken() makes the receipt of a record that cannot be read, if it is certain", () => {
  const answer = {
    popTime: 1,
    invisibleTime: 2,
    reviveQid: 3,
    restNum: 0,
    startOffsetInfo: "0 0 7;1 0 9;1 1 4",
    msgOffsetInfo: "0 0 7,9;1 0 9;1 1 4",
  };
  const broken = {
    queueId: 0,
    queueOffset: 7,
    commitLogOffset: 1,
    storeHost: undefined,
    bytes: new Uint8Array(),
    error: new NetworkError("broken", "", "MALFORMED_FRAME"),
  };
  const receiptOf = (where: Partial<BrokenRecord>) => {
    const receipt = receiveBroken([{ ...broken, ...where }], answer, "b")[0];
    return receipt && formatPopReceipt(receipt);
  };
  assertEquals(receiptOf({}), "7 1 2 3 0 b 0 7");
  assertEquals(receiptOf({ queueId: 1, queueOffset: 4 }), "4 1 2 3 1 b 1 4");
  assertEquals(receiptOf({ queueOffset: 9 }), undefined, "two topics have it");
  assertEquals(receiptOf({ queueOffset: 8 }), undefined);
  assertEquals(receiptOf({ queueOffset: undefined }), undefined);
});

Deno.test("receivePopped() and receiveBroken() take linear time, whatever offsets an answer names", () => {
  const count = 30_000; // each looked for among all of the others would be a thousand million comparisons, or parsing
  const bytes = join(Array.from({ length: count }, (_, i) => {
    const fields = { ...plain, topic: "%RETRY%billing_orders", queueId: 1, queueOffset: i, commitLogOffset: i };
    return encodeRecord(fields);
  }));
  const { messages } = decodeRecords(bytes, { topic: "orders", broker: "broker-a", queueId: -1 });
  const named = Array.from({ length: count }, (_, i) => i + count).join(",");
  const answer = { popTime: 1, invisibleTime: 2, reviveQid: 3, restNum: 0, msgOffsetInfo: `1 1 ${named},1` };
  const { popped, strange } = receivePopped(messages, answer, "b");
  assertEquals([popped.length, strange.length], [1, count - 1]);
  assertEquals(receiveBroken(strange, answer, "b").filter((receipt) => receipt !== undefined), []);
});

Deno.test("receivePopped() does without infos, as with brokers that send none", () => {
  const retry = { queueId: 0, queueOffset: 3, topic: "%RETRY%billing_orders" };
  const messages = popped({ queueId: 0, queueOffset: 7 }, { queueId: 0, queueOffset: 9 }, retry);
  const { popped: received } = receivePopped(messages, { popTime: 1, invisibleTime: 2, reviveQid: 3, restNum: 0 }, "b");
  assertEquals(received.map((each) => formatPopReceipt(each.receipt)), [
    "7 1 2 3 0 b 0 7",
    "7 1 2 3 0 b 0 9",
    "3 1 2 3 1 b 0 3",
  ]);
});

Deno.test("receivePopped() takes the times of an ordered pop from its orderCountInfo", () => {
  const messages = popped(
    { queueId: 0, queueOffset: 7 },
    { queueId: 0, queueOffset: 8 },
    { queueId: 1, queueOffset: 0 },
  );
  const answer = {
    popTime: 1,
    invisibleTime: 2,
    reviveQid: 999,
    restNum: 0,
    startOffsetInfo: "0 0 7;0 1 0",
    msgOffsetInfo: "0 0 7,8;0 1 0",
    orderCountInfo: "0 qo0%8 3;0 0 1;0 1 0",
  };
  assertEquals(receivePopped(messages, answer, "b").popped.map((each) => each.reconsumeTimes), [1, 3, 0]);
});

Deno.test("receivePopped() makes a receipt where a message brings nonsense", () => {
  const messages = popped({ queueId: 0, queueOffset: 7, properties: [["POP_CK", "mine"], ["1ST_POP_TIME", "soon"]] });
  const [received] = receivePopped(messages, { popTime: 1, invisibleTime: 2, reviveQid: 3, restNum: 0 }, "b").popped;
  assertEquals([formatPopReceipt(received!.receipt), received!.firstPopTime], ["7 1 2 3 0 b 0 7", 1]);
});

Deno.test("encodeAckBits() writes bits as Java's BitSet does", () => {
  assertEquals(encodeAckBits(10, [10, 12, 19]), btoa("\x05\x02"));
  assertEquals(encodeAckBits(0, [63]), "AAAAAAAAAIA=");
  assertEquals(encodeAckBits(0, []), "");
});

Deno.test("decodeAckBits() reads what encodeAckBits() wrote", () => {
  const random = new SeededRandom(12);
  for (let round = 0; round < 200; round++) {
    const start = random.below(1_000_000);
    const offsets = Array.from({ length: random.below(40) }, () => start + random.below(300));
    const expected = [...new Set(offsets)].sort((a, b) => a - b);
    assertEquals(decodeAckBits(start, encodeAckBits(start, offsets)), expected);
  }
  assertThrows(() => decodeAckBits(0, "é"), ValidationError, "Cannot decode acks");
  assertEquals(decodeAckBits(5, encodeAckBits(5, [5 + 2 ** 20])), [5 + 2 ** 20]);
  assertThrows(() => decodeAckBits(0, btoa("\xff".repeat(132_000))), ValidationError, "allowed is base64 of up to");
});

Deno.test("encodeAckBits() refuses offsets that are too far from the start", () => {
  assertThrows(() => encodeAckBits(10, [9]), ValidationError, "offset is 9, allowed is 10 to 1048586");
  assertThrows(() => encodeAckBits(0, [1 << 21]), ValidationError);
});

Deno.test("batchAcks() makes one entry per delivery", () => {
  const acks = [
    { topic: "orders", receipt },
    { topic: "orders", receipt: { ...receipt, queueOffset: 10 } },
    { topic: "orders", receipt: { ...receipt, retry: 1 as const } },
    { topic: "returns", receipt },
  ];
  const delivery = { c: "billing", so: 10, q: 2, rq: 3, pt: 1_700_000_000_123, it: 60_000 };
  assertEquals(batchAcks("billing", acks), [
    { ...delivery, t: "orders", r: "0", b: btoa("\x05") },
    { ...delivery, t: "orders", r: "1", b: btoa("\x04") },
    { ...delivery, t: "returns", r: "0", b: btoa("\x04") },
  ]);
});

for (const [file, expected] of Object.entries(golden.files)) {
  Deno.test(`receivePopped() returns the messages of ${file} with the receipts that Java reads`, () => {
    const { fields, body } = decodeFrame(Deno.readFileSync(new URL(`./golden/${file}`, import.meta.url)));
    const topic = file.includes("ordered") ? "popped-in-order" : "popped";
    const { messages } = decodeRecords(body, { topic, broker: "broker-a", queueId: -1 });
    const header = decodeHeader(popMessage.answer, fields, "answer");
    const { popped: received } = receivePopped(messages, header, "broker-a");
    const seen = received.map(({ receipt, reconsumeTimes, firstPopTime }) => ({
      receipt: formatPopReceipt(receipt),
      ...receipt,
      realTopic: realPopTopic("golden", topic, receipt.retry),
      firstPopTime: String(firstPopTime),
      reconsumeTimes,
    }));
    assertEquals(seen as unknown, expected);
    assertEquals(
      received.map(({ receipt }) => parsePopReceipt(formatPopReceipt(receipt))),
      received.map((r) => r.receipt),
    );
  });
}

Deno.test("batchAcks() writes what Java writes", () => {
  const delivery: PopReceipt = {
    startOffset: 100,
    popTime: 1_700_000_000_123,
    invisibleTime: 60_000,
    reviveQueueId: 3,
    retry: 1,
    broker: "broker-a",
    queueId: 2,
    queueOffset: 100,
  };
  const offsets = [100, 102, 109, 163, 164];
  const acks = offsets.map((queueOffset) => ({ topic: "popped", receipt: { ...delivery, queueOffset } }));
  assertEquals(batchAcks("golden", acks) as unknown, [golden.batchAck]);
  assertEquals(decodeAckBits(100, golden.batchAck.b), offsets);
});

Deno.test("changedPopReceipt() makes a delivery of one message", () => {
  const changed = changedPopReceipt(receipt, { popTime: 1_700_000_001_000, invisibleTime: 5, reviveQid: 4 });
  assertEquals(formatPopReceipt(changed), "12 1700000001000 5 4 0 broker-a 2 12");
});

Deno.test("parsePopRetry() reads the field of a receipt", () => {
  assertEquals(["0", "1", "2"].map(parsePopRetry), [0, 1, 2]);
  for (const bad of ["", "3", "01"]) assertThrows(() => parsePopRetry(bad), NetworkError, "retry field");
});
