/** Packed bodies that are unpacked before they are delivered. */

import * as zlib from "node:zlib";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Message, NetworkError } from "../../../mod.ts";
import { encodeBatch } from "../../../src/wire/batch.ts";
import { sendBack, sendBatch, sendMessage } from "../../../src/wire/requests.ts";
import { parseOffsetMessageId } from "../../../src/wire/message_id.ts";
import { encodeProperties } from "../../../src/wire/properties.ts";
import { packLz4, words } from "../../wire/lz4_frames.ts";
import { byQueue, type Scenario, type Scene, take, type TestBroker, type TestMessage, within } from "../harness.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

const ways: readonly (readonly [sysFlag: number, pack: (body: Uint8Array) => Uint8Array])[] = [
  [0x001, (body) => zlib.deflateSync(body)],
  [0x101, (body) => packLz4(body, { blockKind: 4, checksums: true })],
  [0x301, (body) => zlib.deflateSync(body, { level: 9 })],
  [0x101, (body) => packLz4(body)],
  // Node 20 cannot make any, nor unpack it.
  ...(typeof zlib.zstdCompressSync === "function"
    ? [[0x201, (body: Uint8Array) => zlib.zstdCompressSync(body)]] as const
    : []),
];

/** What is sent: bodies of each kind, small and large, and plain ones between; `packed` is how they are sent. */
interface Sent {
  readonly body: Uint8Array;
  readonly packed: TestMessage;
}

/** Bodies of some sizes, packed in all ways; the number of each stands at its beginning. */
function makeBodies(sizes: readonly number[]): Sent[] {
  const sent: Sent[] = [];
  const numbered = (body: Uint8Array) => {
    new DataView(body.buffer).setInt32(0, sent.length);
    return body;
  };
  for (const size of sizes) {
    for (const [sysFlag, pack] of ways) {
      const body = numbered(words(size, sent.length));
      sent.push({ body, packed: { body: pack(body), sysFlag } });
    }
    const plain = numbered(words(100, sent.length));
    sent.push({ body: plain, packed: { body: plain } });
  }
  return sent;
}

function numberOf(message: Message): number {
  const { body } = message;
  return new DataView(body.buffer, body.byteOffset).getInt32(0);
}

function checkBodies(messages: readonly Message[], sent: readonly Sent[]): void {
  for (const message of messages) {
    const { body } = message;
    const expected = sent[numberOf(message)]!.body;
    assertEquals(body.length, expected.length);
    assert(body.every((byte, i) => byte === expected[i]), `body ${numberOf(message)} is another one`);
  }
}

/** What a broker answers to a send, to a batch and to a batch of messages with properties of their own. */
async function sendCodes({ raw }: TestBroker, topic: string, sysFlag: number, names: Record<string, string>) {
  const header = {
    producerGroup: "behaviour",
    topic,
    defaultTopic: "TBW102",
    defaultTopicQueueNums: 4,
    queueId: 0,
    sysFlag,
    bornTimestamp: Date.now(),
    flag: 0,
  };
  const properties = encodeProperties(new Map(Object.entries(names)));
  const batch = (own: string) => encodeBatch([{ flag: 0, body: words(10), properties: own }]);
  const one = await raw.ask(sendMessage, { ...header, properties }, words(10));
  const many = await raw.ask(sendBatch, { ...header, properties, batch: true }, batch(""));
  const own = await raw.ask(sendBatch, { ...header, properties: "", batch: true }, batch(properties));
  return { codes: [one.code, many.code, own.code], msgId: own.fields.msgId };
}

export const scenarios: Scenario[] = [
  {
    name: "packed: what claims to be an inner batch is refused by 5.x, whatever else it is; 4.9 takes it",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const refused = t.broker.line === 5 ? 13 : 0;
      const send = (sysFlag: number, names: Record<string, string> = {}) => sendCodes(t.broker, topic, sysFlag, names);

      assertEquals((await send(0x40)).codes, [0, 0, 0]);
      for (const sysFlag of [0x80, 0xc0, 0x2c1]) {
        assertEquals((await send(sysFlag)).codes, [refused, refused, refused]);
        assertEquals((await send(sysFlag, { INNER_NUM: "2" })).codes, [refused, refused, refused]);
      }
      const { codes, msgId = "" } = await send(0, { INNER_NUM: "2", INNER_BASE: "0" });
      assertEquals(codes, [refused, refused, 0], "a batch's messages are not looked at");
      const offset = parseOffsetMessageId(msgId).commitLogOffset;
      const back = { group: t.group(), offset, delayLevel: 3, originTopic: topic };
      assertEquals((await t.broker.raw.ask(sendBack, back)).code, t.broker.line === 5 ? 1 : 0);
    },
  },
  {
    name: "packed: bodies of all kinds and sizes come in the order of their queue, several and one per answer",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const sent = makeBodies([300, 20 * KIB, 60 * KIB, 90 * KIB, 90 * KIB, 2 * MIB]);
      await t.broker.publish(topic, sent.map(({ packed }) => packed));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const messages = await take(consumer, sent.length, { timeout: 45_000 });
      assertEquals(messages.length, sent.length);
      checkBodies(messages, sent);
      for (const [queueId, queue] of byQueue(messages)) {
        assertEquals(queue.map(({ queueOffset }) => queueOffset), queue.map((_, i) => i));
        assertEquals(queue.map(numberOf), queue.map((_, i) => 2 * i + queueId));
      }
    },
  },
  {
    name: "packed: no room for more than one answer, and everything comes all the same",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const sent = makeBodies([60 * KIB, 90 * KIB, 60 * KIB, MIB]);
      await t.broker.publish(topic, sent.map(({ packed }) => packed));
      const mq = await t.connect();
      const consumer = await mq.consumer({
        group: t.group(),
        topics: topic,
        consumeFrom: "first",
        pullBatchBytes: 64 * KIB,
        maxBufferedBytes: 64 * KIB,
      });
      const messages = await take(consumer, sent.length, { timeout: 45_000 });
      checkBodies(messages, sent);
      assertEquals(messages.map(numberOf), sent.map((_, i) => i));
    },
  },
  {
    name: "packed: huge bodies of one queue do not hold up the bodies of another",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const mq = await t.connect();
      const producer = await mq.producer({ maxMessageSize: 16_000_000, sendTimeout: 20_000 });
      const queue = (queueId: number) => ({ topic, broker: t.broker.brokerNames[0]!, queueId });
      const huge = Array.from(
        { length: 12 },
        () => producer.send({ topic, body: new Uint8Array(12 * MIB) }, { queue: queue(0) }),
      );
      const small = Array.from(
        { length: 60 },
        (_, i) => producer.send({ topic, body: words(12 * KIB, i) }, { queue: queue(1) }),
      );
      await Promise.all([...huge, ...small]);
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const messages = await take(consumer, huge.length + small.length, { timeout: 45_000 });
      const queueIds = messages.map(({ queue }) => queue.queueId);
      const before = queueIds.slice(0, queueIds.lastIndexOf(1)).filter((queueId) => queueId === 0).length;
      assert(before <= huge.length / 2, `${before} huge bodies came before the last small one`);
      assertEquals(messages.filter(({ body }) => body.length === 12 * MIB).length, huge.length);
    },
  },
  {
    name: "packed: a large body that cannot be unpacked tells so when it is read, and holds nothing up",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const body = words(90 * KIB);
      await t.broker.publish(
        topic,
        ways.flatMap(([sysFlag, pack]) => {
          const packed = pack(body);
          return [{ body: packed.subarray(0, packed.length >> 1), sysFlag }, { body: packed, sysFlag }];
        }),
      );
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const messages = await take(consumer, 2 * ways.length);
      assertEquals(messages.map(({ queueOffset }) => queueOffset), messages.map((_, i) => i));
      for (const [i, message] of messages.entries()) {
        if (i % 2 === 0) assertThrows(() => message.body, NetworkError, "Cannot unpack");
        else assertEquals(message.body.length, body.length);
      }
    },
  },
  {
    name: "packed: a reader reads large bodies in order",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const sent = makeBodies([60 * KIB, 90 * KIB, MIB]);
      await t.broker.publish(topic, sent.map(({ packed }) => packed));
      const mq = await t.connect();
      const reader = await mq.reader({ topic, from: "earliest" });
      const messages: Message[] = [];
      const batches = reader.batches();
      while (messages.length < sent.length) {
        const { done, value } = await within(batches.next(), "a batch");
        assert(!done, "the loop has ended");
        messages.push(...value);
        await value.ack();
      }
      checkBodies(messages, sent);
      assertEquals(messages.map(numberOf), sent.map((_, i) => i));
    },
  },
  {
    name: "packed: pop brings large bodies, each once",
    on: ({ line }) => line === 5,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const sent = makeBodies([60 * KIB, 90 * KIB, MIB]);
      await t.broker.publish(topic, sent.map(({ packed }) => packed));
      const mq = await t.connect();
      const consumer = await mq.popConsumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const messages: Message[] = [];
      while (messages.length < sent.length) {
        const batch = await within(consumer.pop({ wait: 10_000 }), "a popped batch", 20_000);
        messages.push(...batch);
        await batch.ack();
      }
      checkBodies(messages, sent);
      assertEquals(messages.map(numberOf).sort((a, b) => a - b), sent.map((_, i) => i));
    },
  },
];
