/** Which way messages take back to a broker, and what is sent when the broker cannot do it by itself. */

import { assertEquals, assertRejects } from "@std/assert";
import { connect } from "../../../mod.ts";
import { SendBack } from "../../../src/consumer/delivery/redelivery.ts";
import { retryReader } from "../../../src/consumer/delivery/retry_reader.ts";
import { EmbeddedBroker } from "../../../src/embedded/mod.ts";
import { ConsumerError, NetworkError } from "../../../src/errors.ts";
import { EventHub } from "../../../src/events.ts";
import { decodeRecords, type StoredMessage, type StoredRecordFields } from "../../../src/wire/record.ts";
import { plainRecord } from "../../wire/plain_record.ts";
import { queue } from "../fakes.ts";

const group = "billing";

/** A redelivery that notes its ways; those named in `refused` lead nowhere. */
function noting(refused: readonly string[] = []) {
  const ways: string[] = [];
  const way = (name: string) => {
    ways.push(name);
    return refused.includes(name) ? Promise.reject(new Error(`no ${name}`)) : Promise.resolve();
  };
  const sendBack = new SendBack({
    options: { group, maxReconsumeTimes: 3 },
    events: new EventHub(false),
    sendBack: (_message, { delayLevel }) => way(`broker ${delayLevel}`),
    sendCopy: (_message, { delayLevel }, avoid) =>
      way(`copy ${delayLevel}${avoid === undefined ? "" : ` not ${avoid}`}`),
    sendBroken: (_queue, { bytes }) => way(`bytes ${bytes.length}`),
  });
  return { ways, sendBack };
}

/** A message of a topic as the group sees it. */
function message(topic: string, fields: Partial<StoredRecordFields> = {}): StoredMessage {
  const reader = retryReader(group, { topics: () => [topic], selector: () => "*" });
  return decodeRecords(plainRecord({ topic, ...fields }), { ...queue, topic }, undefined, reader).messages[0]!;
}

Deno.test("SendBack leaves it to the broker, else sends a copy elsewhere, what the broker counts as we do", async () => {
  const own = { reconsumeTimes: 2, properties: "RETRY_TOPIC\x01orders\x02" };
  for (const each of [message("orders"), message("%RETRY%billing", own)]) {
    const { ways, sendBack } = noting(["broker 5"]);
    await sendBack.redeliver(each, 5);
    assertEquals(ways, ["broker 5", "copy 5 not b"]);
  }
});

Deno.test("SendBack decides itself what is dead: by the group's count, with what failed here, not by the record's", async () => {
  const { ways, sendBack } = noting();
  const here = message("orders");
  here.retriedHere = 3;
  await sendBack.redeliver(here, 5);
  await sendBack.redeliver(message("%DLQ%other", { reconsumeTimes: 17 }), 5);
  await sendBack.redeliver(message("%RETRY%billing", { reconsumeTimes: 3 }), 5);
  assertEquals(ways, ["broker -1", "copy 5", "broker -1"]);
});

Deno.test("SendBack copies what the broker would count or name wrongly", async () => {
  const counted = message("orders");
  counted.retriedHere = 1;
  const foreign = message("%DLQ%other", { reconsumeTimes: 4, properties: "RETRY_TOPIC\x01orders\x02" });
  for (const [each, expected] of [[counted, ["copy 5", "broker 5"]], [foreign, ["copy 5"]]] as const) {
    const { ways, sendBack } = noting(["copy 5", "broker 5"]);
    await assertRejects(() => sendBack.redeliver(each, 5), ConsumerError, "no copy 5");
    assertEquals(ways, [...expected]);
  }
});

Deno.test("SendBack sends the bytes of a record that the broker cannot read either, or whose place is not known", async () => {
  const error = new NetworkError("Cannot read it", "", "MALFORMED_FRAME");
  const place = { queueId: 0, queueOffset: 1, commitLogOffset: 9, storeHost: "b:1" };
  const record = { ...place, bytes: new Uint8Array(7), error };
  for (
    const [refused, at, expected] of [
      [[], 9, ["broker -1"]],
      [["broker -1"], 9, ["broker -1", "bytes 7"]],
      [[], undefined, ["bytes 7"]],
    ] as const
  ) {
    const { ways, sendBack } = noting(refused);
    await sendBack.deadLetterBroken(queue, { ...record, commitLogOffset: at });
    assertEquals(ways, [...expected]);
  }
  await assertRejects(() => noting(["broker -1", "bytes 7"]).sendBack.deadLetterBroken(queue, record), ConsumerError);
});

Deno.test("a copy is packed as it was, and has the user's properties and none that brokers set", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } }, delayLevels: [0] });
  await using mq = await connect({ nameServers: broker.nameServer, logger: false });
  await using producer = await mq.producer();
  const body = "again and ".repeat(1_000);
  const { messageId } = await producer.send({ topic: "orders", body, tags: "t", keys: ["k"], properties: { a: "b" } });
  await using consumer = await mq.consumer({ group, topics: "orders", consumeFrom: "first" });
  const refused = broker.faults.answer("SendBack", { code: 16, remark: "no" });
  const copies: ReadonlyMap<string, string>[] = [];
  broker.faults.answer("SendMessage", "drop", {
    match: ({ fields }) => {
      const properties = Object.values(fields).find((value) => value.includes("RETRY_TOPIC")) ?? "";
      copies.push(
        new Map(
          properties.split("\x02").filter((pair) => pair !== "").map((pair) => {
            const [name = "", value = ""] = pair.split("\x01");
            return [name, value];
          }),
        ),
      );
      return false;
    },
  });
  const batches = consumer.batches();
  const first = (await batches.next()).value!;
  await first.retry({ delayLevel: 1 });
  const retried = (await batches.next()).value!;
  const again = retried.messages[0]!;
  assertEquals([refused.hits, copies.length], [1, 1]);
  assertEquals(new Set(copies[0]!.keys()), new Set(["TAGS", "KEYS", "a", "UNIQ_KEY", "RETRY_TOPIC", "DELAY"]));
  assertEquals([again.text() === body, again.sysFlag & 1, again.tags, again.keys], [true, 1, "t", ["k"]]);
  assertEquals([again.messageId, again.topic, again.reconsumeTimes], [messageId, "orders", 1]);
  await retried.ack();
  assertEquals(consumer.stats().buffered, 0);
});
