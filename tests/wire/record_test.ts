import * as zlib from "node:zlib";
import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { MessageFormatError, NetworkError, UnsupportedError, ValidationError } from "../../src/errors.ts";
import type { MessageQueue } from "../../src/message.ts";
import { parseHost } from "../../src/wire/host.ts";
import { encodeProperties } from "../../src/wire/properties.ts";
import { decodeRecords, encodeRecord, StoredMessage, type StoredRecordFields } from "../../src/wire/record.ts";
import { SeededRandom } from "./seeded_random.ts";

const encoder = new TextEncoder();
const queue: MessageQueue = { topic: "orders", broker: "broker-a", queueId: 3 };
const retryQueue: MessageQueue = { topic: "%RETRY%billing", broker: "broker-a", queueId: 0 };

const defaults: StoredRecordFields = {
  topic: "orders",
  queueId: 3,
  queueOffset: 41,
  commitLogOffset: 229,
  body: encoder.encode("hello"),
  properties: encodeProperties([["UNIQ_KEY", "7F000001ABCD"], ["TAGS", "created"], ["KEYS", "k1 k2"], [
    "city",
    "Zürich",
  ]]),
  flag: 7,
  sysFlag: 0,
  bornTimestamp: 1_700_000_000_123,
  bornHost: "10.0.0.9:5555",
  storeTimestamp: 1_700_000_000_456,
  storeHost: "127.0.0.1:10911",
  reconsumeTimes: 2,
  preparedTransactionOffset: 99,
};

function record(fields: Partial<StoredRecordFields> = {}): Uint8Array {
  return encodeRecord({ ...defaults, ...fields });
}

function decodeOne(bytes: Uint8Array, from = queue): StoredMessage {
  const { messages, broken } = decodeRecords(bytes, from);
  assertEquals(broken, []);
  assertEquals(messages.length, 1);
  return messages[0]!;
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

Deno.test("encodeRecord() writes every field in its place", () => {
  const bytes = encodeRecord({ ...defaults, topic: "t", properties: "a\u0001b", flag: -1, queueOffset: 2 ** 40 + 1 });
  assertEquals([...bytes], [
    ...[0, 0, 0, 100], // size
    ...[0xda, 0xa3, 0x20, 0xa7], // magic
    ...[0x36, 0x10, 0xa6, 0x86], // CRC of "hello"
    ...[0, 0, 0, 3], // queue id
    ...[255, 255, 255, 255], // flag
    ...[0, 0, 1, 0, 0, 0, 0, 1], // queue offset
    ...[0, 0, 0, 0, 0, 0, 0, 229], // commit log offset
    ...[0, 0, 0, 0], // system flag
    ...[0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x7b], // born timestamp
    ...[10, 0, 0, 9, 0, 0, 0x15, 0xb3], // born host
    ...[0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x69, 0xc8], // store timestamp
    ...[127, 0, 0, 1, 0, 0, 0x2a, 0x9f], // store host
    ...[0, 0, 0, 2], // reconsume times
    ...[0, 0, 0, 0, 0, 0, 0, 99], // prepared transaction offset
    ...[0, 0, 0, 5, 0x68, 0x65, 0x6c, 0x6c, 0x6f], // body
    ...[1, 0x74], // topic
    ...[0, 3, 0x61, 1, 0x62], // properties
  ]);
});

Deno.test("encodeRecord() takes hosts as bytes, and sets the bits of IPv6", () => {
  const hosts = { bornHost: "[2001:db8::1]:5555", storeHost: "[::1]:10911" };
  const bytes = record(hosts);
  assertEquals(record({ bornHost: parseHost(hosts.bornHost), storeHost: parseHost(hosts.storeHost) }), bytes);
  assertEquals(decodeOne(bytes).sysFlag, 0x30);
  assertEquals(decodeOne(record({ sysFlag: 0x30 })).sysFlag, 0); // the hosts decide
  assertThrows(() => record({ bornHost: "localhost:1" }), ValidationError, "Cannot encode a host");
});

Deno.test("encodeRecord() refuses what does not fit into its length", () => {
  assertThrows(() => record({ properties: "x".repeat(32_768) }), ValidationError, "the properties' size is 32768");
  assertThrows(() => record({ topic: "é".repeat(16_384) }), ValidationError, "the topic's size is 32768");
});

Deno.test("StoredMessage shows every field", () => {
  const bytes = record();
  const around = join(Uint8Array.of(1, 2, 3), bytes, Uint8Array.of(4));
  const message = decodeOne(around.subarray(3, 3 + bytes.length));
  assertEquals(message.topic, "orders");
  assertEquals(message.storedTopic, "orders");
  assertEquals(message.storedQueueId, 3);
  assertStrictEquals(message.queue, queue);
  assertEquals(message.queueOffset, 41);
  assertEquals(message.commitLogOffset, 229);
  assertEquals(message.preparedTransactionOffset, 99);
  assertEquals(message.tags, "created");
  assertEquals(message.keys, ["k1", "k2"]);
  assertEquals(message.messageId, "7F000001ABCD");
  assertEquals(message.offsetMessageId, "7F00000100002A9F00000000000000E5");
  assertEquals(message.bornAt.getTime(), 1_700_000_000_123);
  assertEquals(message.storedAt.getTime(), 1_700_000_000_456);
  assertEquals(message.bornHost, "10.0.0.9:5555");
  assertEquals(message.storeHost, "127.0.0.1:10911");
  assertEquals(message.reconsumeTimes, 2);
  assertEquals(message.flag, 7);
  assertEquals(message.sysFlag, 0);
  assertEquals(message.size, bytes.length);
  assertEquals(message.property("city"), "Zürich");
  assertEquals(message.property("nothing"), undefined);
  assertEquals([...message.properties.keys()], ["UNIQ_KEY", "TAGS", "KEYS", "city"]);
  assertEquals(message.property("city"), "Zürich"); // from the map, now
  assertStrictEquals(message.properties, message.properties);
  assertEquals(message.text(), "hello");
  assert(message.checksumValid());
  assertStrictEquals(message.body.buffer, around.buffer); // a view, not a copy
});

Deno.test("StoredMessage does without properties and body", () => {
  const message = decodeOne(record({ properties: "", body: new Uint8Array(0), flag: 0 }));
  assertEquals([message.tags, message.keys, message.properties.size, message.text()], [undefined, [], 0, ""]);
  assertEquals(message.messageId, message.offsetMessageId);
  assert(message.checksumValid());
});

Deno.test("StoredMessage.keys leaves out what is between two spaces", () => {
  assertEquals(decodeOne(record({ properties: encodeProperties([["KEYS", " a  b "]]) })).keys, ["a", "b"]);
});

Deno.test("StoredMessage reads IPv6 hosts, also only one of them", () => {
  for (const bornHost of ["10.0.0.9:5555", "[2001:db8::1]:5555"]) {
    for (const storeHost of ["127.0.0.1:10911", "[::1]:10911"]) {
      const message = decodeOne(record({ bornHost, storeHost }));
      assertEquals([message.bornHost, message.storeHost], [bornHost, storeHost]);
      assertEquals(message.storedAt.getTime(), defaults.storeTimestamp);
      assertEquals([message.reconsumeTimes, message.preparedTransactionOffset, message.text()], [2, 99, "hello"]);
      assertEquals(message.offsetMessageId.length, storeHost.startsWith("[") ? 56 : 32);
    }
  }
});

Deno.test("StoredMessage of a topic of more than 127 bytes has version 2", () => {
  for (const [length, magic] of [[127, 0xdaa320a7], [128, 0xdaa320ab]] as const) {
    const bytes = record({ topic: "t".repeat(length) });
    assertEquals(new DataView(bytes.buffer).getUint32(4), magic);
    const message = decodeOne(bytes);
    assertEquals([message.storedTopic, message.text(), message.tags], ["t".repeat(length), "hello", "created"]);
  }
});

Deno.test("StoredMessage.topic is the original one in a retry queue", () => {
  const properties = encodeProperties([["RETRY_TOPIC", "orders"]]);
  const message = decodeOne(record({ topic: retryQueue.topic, properties }), retryQueue);
  assertEquals([message.topic, message.storedTopic], ["orders", "%RETRY%billing"]);
  assertEquals(decodeOne(record({ topic: retryQueue.topic }), retryQueue).topic, "%RETRY%billing");
  assertEquals(decodeOne(record({ properties })).topic, "orders");
});

Deno.test("StoredMessage.body is unpacked once", () => {
  const body = encoder.encode("hello ".repeat(100));
  const message = decodeOne(record({ body: zlib.deflateSync(body), sysFlag: 0x301 }));
  assertEquals(message.body, body);
  assertStrictEquals(message.body, message.body);
  assertEquals(message.text(), "hello ".repeat(100));
  assert(message.storedBody.length < 100);
  assert(message.checksumValid()); // of the packed body
});

Deno.test("StoredMessage.body throws each time if it cannot be unpacked", () => {
  const message = decodeOne(record({ sysFlag: 0x301 }));
  assertThrows(() => message.body, NetworkError, "Cannot unpack a zlib body");
  assertThrows(() => message.text(), NetworkError);
  assertEquals(message.tags, "created");
  assertThrows(() => decodeOne(record({ sysFlag: 0x401 })).body, UnsupportedError);
});

Deno.test("StoredMessage.json() returns the value, or throws an error with the place of the message", () => {
  assertEquals(decodeOne(record({ body: encoder.encode('{"a":[1]}') })).json<{ a: number[] }>().a, [1]);
  const error = assertThrows(() => decodeOne(record()).json(), MessageFormatError);
  const { name, code, messageId, topic, queueOffset, cause } = error;
  assertEquals([name, code, messageId, topic, error.queue, queueOffset], [
    ...["MessageFormatError", "MESSAGE_FORMAT", "7F000001ABCD", "orders"],
    queue,
    41,
  ]);
  assertInstanceOf(cause, SyntaxError);
  const place = 'Cannot read message 7F000001ABCD of topic "orders" as JSON, at offset 41 of orders@broker-a@3: ';
  assertEquals(error.message, place + cause.message);
});

Deno.test("StoredMessage.checksumValid() notices every changed byte of the body", () => {
  const bytes = record();
  for (let at = 88; at < 93; at++) {
    const damaged = bytes.slice();
    damaged[at]! ^= 0x10;
    assertEquals(decodeOne(damaged).checksumValid(), false);
  }
  const zero = bytes.slice();
  zero.set([0, 0, 0, 0], 8); // a record's checksum is always computed
  assertEquals(decodeOne(zero).checksumValid(), false);
});

Deno.test("StoredMessage shows itself in one line", () => {
  assertEquals(Deno.inspect(decodeOne(record())), "StoredMessage(7F000001ABCD at orders@broker-a@3:41, 161 bytes)");
});

Deno.test("decodeRecords() reads what encodeRecord() writes", () => {
  const random = new SeededRandom(11);
  for (let i = 0; i < 300; i++) {
    const all = Array.from({ length: random.below(5) }, (): StoredRecordFields => ({
      topic: `t${random.text(random.pick([10, 200]))}`,
      queueId: random.below(16),
      queueOffset: random.below(2 ** 53),
      commitLogOffset: random.below(2 ** 53),
      body: random.bytes(random.below(100)),
      properties: random.text(40),
      flag: random.below(2 ** 32) | 0,
      sysFlag: random.below(16) & ~1,
      bornTimestamp: random.below(8e15),
      bornHost: random.pick(["1.2.3.4:5", "[1::2]:3"]),
      storeTimestamp: random.below(8e15),
      storeHost: random.pick(["9.8.7.6:50000", "[fe80::1]:10911"]),
      reconsumeTimes: random.below(20),
      preparedTransactionOffset: random.below(2 ** 53),
    }));
    const { messages, broken } = decodeRecords(join(...all.map(encodeRecord)), queue);
    assertEquals(broken, []);
    const properties = all.map((fields) => fields.properties);
    assertEquals(
      messages.map((message, i): StoredRecordFields => ({
        topic: message.storedTopic,
        queueId: message.storedQueueId,
        queueOffset: message.queueOffset,
        commitLogOffset: message.commitLogOffset,
        body: message.body,
        properties: properties[i]!,
        flag: message.flag,
        sysFlag: message.sysFlag & ~0x30,
        bornTimestamp: message.bornAt.getTime(),
        bornHost: message.bornHost,
        storeTimestamp: message.storedAt.getTime(),
        storeHost: message.storeHost,
        reconsumeTimes: message.reconsumeTimes,
        preparedTransactionOffset: message.preparedTransactionOffset,
      })),
      all,
    );
  }
  assertEquals(decodeRecords(new Uint8Array(0), queue), { messages: [], broken: [], packed: [] });
});

Deno.test("decodeRecords() reports a broken record and reads the ones around it", () => {
  const bad = record({ queueOffset: 42, commitLogOffset: 1_000 });
  bad[7] = 0xff;
  const { messages, broken } = decodeRecords(join(record(), bad, record({ queueOffset: 43 })), queue);
  assertEquals(messages.map((message) => message.queueOffset), [41, 43]);
  assertEquals(broken.length, 1);
  const { error, ...where } = broken[0]!;
  assertEquals(where, {
    queueId: 3,
    queueOffset: 42,
    commitLogOffset: 1_000,
    storeHost: "127.0.0.1:10911",
    bytes: bad,
  });
  assertInstanceOf(error, NetworkError);
  assertEquals(error.message, "Cannot read the record at byte 161: its magic number is 0xdaa320ff");
  assertEquals(error.code, "MALFORMED_FRAME");
});

Deno.test("decodeRecords() refuses bytes that are cut off anywhere in a record", () => {
  const bytes = join(record(), record());
  const size = bytes.length / 2;
  for (let end = 1; end < bytes.length; end++) {
    if (end === size) continue;
    const error = assertThrows(() => decodeRecords(bytes.subarray(0, end), queue), NetworkError, "its size is");
    assertEquals(error.code, "MALFORMED_FRAME");
  }
});

Deno.test("decodeRecords() refuses a size that it cannot step over", () => {
  for (const size of [0, -1, -(2 ** 31), 1, 90, 162, 2 ** 31 - 1]) {
    const bytes = record();
    new DataView(bytes.buffer).setInt32(0, size);
    assertThrows(() => decodeRecords(bytes, queue), NetworkError, `its size is ${size} bytes`);
  }
  const bytes = record();
  new DataView(bytes.buffer).setInt32(0, 91); // possible, but not with what is inside: the rest is no record
  assertThrows(() => decodeRecords(bytes, queue), NetworkError, "the record at byte 91");
});

Deno.test("decodeRecords() finds every inner length that does not fit", () => {
  const long = "t".repeat(200);
  for (const topic of ["orders", long]) {
    const whole = record({ topic });
    const body = 84;
    const topicAt = 88 + 5;
    const propertiesAt = topicAt + (topic === long ? 2 : 1) + topic.length;
    for (const value of [-1, -(2 ** 31), 0, 4, 6, 70, whole.length, 2 ** 31 - 1]) expectBroken(whole, body, 4, value);
    for (const value of topic === long ? [-1, -32_768, 0, 199, 201, 32_767] : [-1, -128, 0, 5, 7, 127]) {
      expectBroken(whole, topicAt, topic === long ? 2 : 1, value);
    }
    for (const value of [-1, -32_768, 0, 1, 32_767]) expectBroken(whole, propertiesAt, 2, value);
    for (const at of [20, 28]) for (const value of [-1, 2 ** 21, 2 ** 31 - 1]) expectBroken(whole, at, 4, value);
  }
  // IPv6 bits without room for the hosts: everything behind them moves.
  for (const bits of [0x10, 0x20, 0x30]) expectBroken(record(), 36, 4, bits);
  for (const bits of [0x10, 0x20, 0x30]) {
    expectBroken(record({ body: new Uint8Array(0), topic: "", properties: "" }), 36, 4, bits);
  }
});

function expectBroken(whole: Uint8Array, at: number, size: 1 | 2 | 4, value: number): void {
  const bytes = whole.slice();
  const view = new DataView(bytes.buffer);
  if (size === 1) view.setInt8(at, value);
  else if (size === 2) view.setInt16(at, value);
  else view.setInt32(at, value);
  const { messages, broken } = decodeRecords(join(bytes, record()), queue);
  assertEquals([messages.length, broken.length], [1, 1], `${value} at ${at}`);
  assertEquals(broken[0]!.queueOffset, at === 20 ? undefined : 41);
  assertEquals(broken[0]!.commitLogOffset, at === 28 ? undefined : 229);
}

Deno.test("decodeRecords() takes only one of the two bits for an ordinary message", () => {
  for (const sysFlag of [0x40, 0x80]) assertEquals(decodeOne(record({ sysFlag })).text(), "hello");
});
