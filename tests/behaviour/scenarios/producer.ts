/** Sending: what is sent is what consumers get, and what cannot be sent is said. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { json, ProducerError, type SendReceipt, ValidationError } from "../../../mod.ts";
import { PropertyName } from "../../../src/wire/codes.ts";
import { byQueue, type Scenario, type Scene, sortedTexts, take, textOf, texts, waitUntil, within } from "../harness.ts";

export const scenarios: Scenario[] = [
  {
    name: "send() stores a message as it is given, and its receipt tells where",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const mq = await t.connect();
      const producer = await mq.producer();
      const queue = { topic, broker: t.broker.brokerNames[0]!, queueId: 1 };
      const message = {
        topic,
        body: "Grüße, 世界",
        tags: "päid",
        keys: ["42", "k2"],
        properties: { region: "ü" },
        flag: 7,
      };
      const receipt = await producer.send(message, { queue });
      assertEquals([receipt.status, receipt.queue, receipt.queueOffset], ["stored", queue, 0]);
      const second = await producer.send({ topic, body: json({ price: 12.5, tags: ["ä"] }) }, { queue });
      assertEquals(second.queueOffset, 1);
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const [got, other] = await take(consumer, 2);
      assertEquals([got?.text(), got?.tags, got?.keys, got?.flag], ["Grüße, 世界", "päid", ["42", "k2"], 7]);
      assertEquals([got?.property("region"), got?.queue], ["ü", queue]);
      assertEquals([got?.messageId, got?.offsetMessageId], [receipt.messageId, receipt.offsetMessageId]);
      assertEquals(other?.json(), { price: 12.5, tags: ["ä"] });
      assertEquals(other?.messageId, second.messageId);
    },
  },
  {
    name: "send() takes the queues of a topic in turn; with an orderingKey one queue for each key, in order",
    async run(t: Scene) {
      const topic = await t.topic(4);
      const mq = await t.connect();
      const producer = await mq.producer();
      const spread = await Promise.all(texts(40, "free").map((body) => producer.send({ topic, body })));
      const counts = new Map<number, number>();
      for (const { queue } of spread) counts.set(queue.queueId, (counts.get(queue.queueId) ?? 0) + 1);
      assertEquals([...counts.values()], [10, 10, 10, 10]);
      const keys = ["customer-1", "customer-2", "customer-3", "ключ"];
      for (let turn = 0; turn < 10; turn++) {
        for (const key of keys) await producer.send({ topic, body: `${key} ${turn}` }, { orderingKey: key });
      }
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const messages = await take(consumer, 80);
      for (const key of keys) {
        const mine = messages.filter((message) => message.property(PropertyName.SHARDING_KEY) === key);
        assertEquals(mine.map(textOf), Array.from({ length: 10 }, (_, turn) => `${key} ${turn}`));
        assertEquals(byQueue(mine).size, 1, key);
      }
    },
  },
  {
    name: "send() with a delay level is delivered later",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      const producer = await mq.producer();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const sentAt = performance.now();
      await producer.send({ topic, body: "later" }, { delayLevel: 1 });
      await producer.send({ topic, body: "now" });
      assertEquals((await take(consumer, 2)).map(textOf), ["now", "later"]);
      const after = performance.now() - sentAt;
      assert(after > 900 && after < 4_000, `it came after ${Math.round(after)} ms`);
    },
  },
  {
    name: "oneway: a loop of sendOneway() stores every message, those of one key in one queue",
    async run(t: Scene) {
      const [topic, ordered] = [await t.topic(4), await t.topic(4)];
      const mq = await t.connect();
      const producer = await mq.producer();
      await producer.sendOneway({ topic, body: "tagged", tags: "päid", keys: ["42"], properties: { region: "ü" } });
      for (const body of texts(3_000)) await producer.sendOneway({ topic, body });
      for (const body of texts(50)) await producer.sendOneway({ topic: ordered, body }, { orderingKey: "one" });
      await Promise.all(texts(300, "together").map((body) => producer.sendOneway({ topic, body })));
      const consumer = await mq.consumer({ group: t.group(), topics: [topic, ordered], consumeFrom: "first" });
      const got = await take(consumer, 3_351);
      const free = got.filter((message) => message.topic === topic);
      assertEquals(sortedTexts(free), ["tagged", ...texts(3_000), ...texts(300, "together")].sort());
      const tagged = free.find((message) => message.text() === "tagged");
      assertEquals([tagged?.tags, tagged?.keys, tagged?.property("region")], ["päid", ["42"], "ü"]);
      const queues = byQueue(got.filter((message) => message.topic === ordered));
      // Brokers work on several requests at once: one queue is sure, the order is not, as nobody waits for an answer.
      assertEquals([...queues.values()].map((messages) => sortedTexts(messages)), [texts(50).sort()]);
      await producer.close();
      const error = await within(assertRejects(() => producer.sendOneway({ topic, body: "late" })), "a late send");
      assertInstanceOf(error, ProducerError);
    },
  },
  {
    name: "linger: many single sends take few requests, and each receipt tells where its message is",
    async run(t: Scene) {
      const [one, two] = [await t.topic(3), await t.topic(1)];
      const mq = await t.connect();
      const producer = await mq.producer({ linger: 20 });
      let left = 1_200;
      const sent: { body: string; topic: string; receipt: SendReceipt }[] = [];
      const caller = async (number: number) => {
        while (left-- > 0) {
          const [topic, body] = [left % 5 === 0 ? two : one, `${number} ${left}`];
          sent.push({
            topic,
            body,
            receipt: await producer.send({ topic, body, tags: `t${left % 2}`, keys: [body.replace(" ", "-")] }),
          });
        }
      };
      await Promise.all(Array.from({ length: 60 }, (_, number) => caller(number)));
      const delayed = producer.send({ topic: one, body: "later" }, { delayLevel: 1 });
      const large = producer.send({ topic: one, body: "x".repeat(100_000) });
      await Promise.all([delayed, large]);
      const consumer = await mq.consumer({ group: t.group(), topics: [one, two], consumeFrom: "first" });
      const got = new Map((await take(consumer, 1_202)).map((message) => [message.messageId, message]));
      assertEquals(got.size, 1_202);
      assertEquals(got.get((await large).messageId)?.text(), "x".repeat(100_000));
      for (const { topic, body, receipt } of sent) {
        const message = got.get(receipt.messageId);
        assertEquals([message?.topic, message?.text(), message?.keys], [topic, body, [body.replace(" ", "-")]]);
        assertEquals([message?.queue, message?.queueOffset], [receipt.queue, receipt.queueOffset]);
        assertEquals([message?.offsetMessageId, receipt.status], [receipt.offsetMessageId, "stored"]);
      }
      const requests = new Set(sent.map(({ receipt }) => receipt.transactionId ?? "batch"));
      assert(requests.size < sent.length / 2, `${requests.size} of ${sent.length} messages went by themselves`);
    },
  },
  {
    name: "linger: messages of one key are stored in the order of their sends, and close() flushes",
    async run(t: Scene) {
      const topic = await t.topic(4);
      const mq = await t.connect();
      const producer = await mq.producer({ linger: 1_000, batchBytes: 4_096 });
      const keys = texts(12, "key");
      const sent: Promise<SendReceipt>[] = [];
      for (let turn = 0; turn < 100; turn++) {
        for (const orderingKey of keys) {
          const body = `${orderingKey} ${turn}`.padEnd(turn % 25 === 24 ? 6_000 : 0); // packed: it travels alone
          sent.push(producer.send({ topic, body }, { orderingKey }));
        }
        if (turn === 20) await sent[0];
      }
      await within(producer.close(), "the end of close()");
      const receipts = await within(Promise.all(sent), "all receipts");
      assertEquals(new Set(receipts.map(({ messageId }) => messageId)).size, 1_200);
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const got = await take(consumer, 1_200);
      for (const key of keys) {
        const mine = got.filter((message) => message.property(PropertyName.SHARDING_KEY) === key);
        assertEquals(mine.map((message) => message.text().trim()), texts(100, `${key} `));
        assertEquals(byQueue(mine).size, 1, key);
      }
    },
  },
  {
    name: "linger: a message that is too large for the broker fails alone",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      const options = { linger: 20, maxMessageSize: 8_000_000, batchBytes: 8_000_000, compressAbove: false } as const;
      const producer = await mq.producer(options);
      const bodies: (string | Uint8Array)[] = ["a", new Uint8Array(5_000_000), "b"];
      const [a, large, b] = await Promise.allSettled(bodies.map((body) => producer.send({ topic, body })));
      assertEquals([a?.status, large?.status, b?.status], ["fulfilled", "rejected", "fulfilled"]);
      assert(large?.status === "rejected" && large.reason instanceof ProducerError);
      assertStringIncludes(large.reason.message, "13");
      const stored = () => t.broker.maxOffset({ topic, queueId: 0 }); // shown a moment after it is stored
      await waitUntil(async () => await stored() === 2, { what: "two messages" });
    },
  },
  {
    name: "sendBatch() stores all of a batch: many, of several topics, and more than fit into one request",
    async run(t: Scene) {
      const [one, two] = [await t.topic(2), await t.topic(2)];
      const mq = await t.connect();
      const producer = await mq.producer({ maxMessageSize: 100_000 });
      const messages = texts(300).map((text, i) => ({
        topic: i % 3 === 0 ? two : one,
        body: text.padEnd(1_000, "."),
        tags: `t${i % 2}`,
        keys: [text],
      }));
      const receipts = await producer.sendBatch(messages);
      assertEquals(receipts.length, 300);
      assertEquals(new Set(receipts.map(({ messageId }) => messageId)).size, 300);
      const consumer = await mq.consumer({ group: t.group(), topics: [one, two], consumeFrom: "first" });
      const got = await take(consumer, 300);
      const byId = new Map(got.map((message) => [message.messageId, message]));
      assertEquals(byId.size, 300);
      for (const [i, { topic, body, tags, keys }] of messages.entries()) {
        const message = byId.get(receipts[i]!.messageId);
        assertEquals([message?.topic, message?.text(), message?.tags, message?.keys], [topic, body, tags, keys]);
        assertEquals([message?.queue, message?.queueOffset], [receipts[i]!.queue, receipts[i]!.queueOffset]);
      }
    },
  },
  {
    name: "sendBatch() with an orderingKey keeps the order in one queue",
    async run(t: Scene) {
      const topic = await t.topic(4);
      const mq = await t.connect();
      const producer = await mq.producer({ maxMessageSize: 5_000 });
      const messages = texts(100).map((text) => ({ topic, body: text.padEnd(200, ".") }));
      await producer.sendBatch(messages, { orderingKey: "one" });
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const got = await take(consumer, 100);
      assertEquals(got.map(textOf), messages.map(({ body }) => body));
      assertEquals(byQueue(got).size, 1);
    },
  },
  {
    name: "send() refuses an empty body, one that is too large, and names every problem",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      const producer = await mq.producer();
      const most = 4_194_304;
      for (const body of ["", new Uint8Array(0), new Uint8Array(most + 1)]) {
        const error = await assertRejects(() => producer.send({ topic, body }), ValidationError);
        assertEquals(error.problems.length, 1);
        assertStringIncludes(error.problems[0]!.field, "body");
      }
      const bad = { topic: "a b", body: "", tags: "a||b", keys: ["a b"] };
      const error = await assertRejects(() => producer.send(bad), ValidationError);
      assertEquals(error.problems.map(({ field }) => field).sort(), ["body", "keys", "tags", "topic"]);
      const batch = [{ topic, body: "good" }, { topic, body: "" }];
      await assertRejects(() => producer.sendBatch(batch), ValidationError);
      assertEquals(await t.broker.maxOffset({ topic, queueId: 0 }), 0, "nothing was sent");
    },
  },
  {
    name: "send() says what the broker says to a body that is too large for it",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      const producer = await mq.producer({ maxMessageSize: 6_000_000, compressAbove: false });
      const error = await assertRejects(() => producer.send({ topic, body: new Uint8Array(5_000_000) }), ProducerError);
      assertEquals([error.code, error.retriable], ["SEND_FAILED", false]);
      assertStringIncludes(error.message, "13");
    },
  },
  {
    name: "a large body is packed on its way and comes out as it was",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      const producer = await mq.producer();
      const text = "compress me ".repeat(50_000);
      await producer.send({ topic, body: text });
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const [message] = await take(consumer, 1);
      assertEquals(message?.text(), text);
      assert(message!.size < text.length / 10, `${message!.size} bytes are stored`);
    },
  },
  {
    name: "a producer and a consumer of one client share it, and closing the client closes both",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const { mq, transport } = await t.client();
      const producer = await mq.producer();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const got = t.background(() => take(consumer, 20));
      await Promise.all(texts(20).map((body) => producer.send({ topic, body })));
      assertEquals(sortedTexts(await got), texts(20).sort());
      assertEquals(transport.open, 2, "a name server's and a broker's");
      await mq.close();
      const error = await within(assertRejects(() => producer.send({ topic, body: "late" })), "a send after close()");
      assertInstanceOf(error, ProducerError);
      assertEquals(error.code, "PRODUCER_CLOSED");
    },
  },
  {
    name: "send() to a topic that does not exist makes it, and a consumer reads it",
    async run(t: Scene) {
      const topic = t.name("made");
      const mq = await t.connect();
      const producer = await mq.producer();
      const receipts = await Promise.all(texts(5).map((body) => producer.send({ topic, body })));
      assertEquals(receipts.map(({ queue }) => queue.topic), receipts.map(() => topic));
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      assertEquals(sortedTexts(await take(consumer, 5)), texts(5));
    },
  },
];
