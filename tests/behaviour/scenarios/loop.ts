/** The plain loop: what it gets, in which order, and how it shows. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConsumerStateError, type Message, MessageFormatError, tag } from "../../../mod.ts";
import { MessageSysFlag } from "../../../src/wire/codes.ts";
import { compress } from "../../../src/wire/compression.ts";
import {
  byQueue,
  duplicatesIn,
  nextBatch,
  type Scenario,
  type Scene,
  sortedTexts,
  take,
  textOf,
  texts,
  waitUntil,
} from "../harness.ts";

export const scenarios: Scenario[] = [
  {
    name: "a loop gets all messages of a topic, those of each queue in offset order",
    async run(t: Scene) {
      const topic = await t.topic(4);
      await t.broker.publish(topic, texts(400));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const messages: Message[] = [];
      for await (const batch of consumer) {
        assertEquals(batch.topic, topic);
        assertEquals(batch.length, batch.messages.length);
        assertEquals([...batch], [...batch.messages]);
        assert(batch.length >= 1 && batch.length <= 32, `a batch of ${batch.length}`);
        for (const message of batch) assertEquals(message.queue, batch.queue);
        messages.push(...batch);
        if (messages.length >= 400) break;
      }
      assertEquals(sortedTexts(messages), texts(400).sort());
      const queues = byQueue(messages);
      assertEquals([...queues.keys()].sort(), [0, 1, 2, 3]);
      for (const [queueId, queue] of queues) {
        assertEquals(queue.map(({ queueOffset }) => queueOffset), queue.map((_, i) => i), `queue ${queueId}`);
        assertEquals(queue.map(textOf), queue.map((_, i) => `m${4 * i + queueId}`), `queue ${queueId}`);
      }
    },
  },
  {
    name: "a batch has at most batchSize messages, and is never waited for",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(20));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first", batchSize: 7 });
      const sizes: number[] = [];
      const batches = consumer.batches();
      for (let got = 0; got < 20;) {
        const batch = await nextBatch(batches);
        sizes.push(batch.length);
        got += batch.length;
      }
      assertEquals(Math.max(...sizes), 7, `sizes ${sizes}`);
      const [last] = await Promise.all([nextBatch(batches), t.broker.publish(topic, ["alone"])]);
      assertEquals([...last].map(textOf), ["alone"]);
      await batches.return!();
    },
  },
  {
    name: "a message shows what was sent, and where it is stored",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const body = "Grüße, 世界, 𝄞";
      const before = Date.now();
      const [key] = await t.broker.publish(topic, [{
        body,
        tags: "päid",
        keys: ["42", "schlüssel"],
        properties: { region: "eu", unicode: "𝄞=1", __SHARDINGKEY: "customer-7" },
        flag: 5,
      }]);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const [message] = await take(consumer, 1);
      assert(message !== undefined);
      assertEquals(message.text(), body);
      assertEquals(message.body, new TextEncoder().encode(body));
      assertEquals([message.topic, message.tags, message.keys], [topic, "päid", ["42", "schlüssel"]]);
      assertEquals([message.property("region"), message.property("unicode")], ["eu", "𝄞=1"]);
      assertEquals([message.property("missing"), message.property("reg")], [undefined, undefined]);
      assertEquals([message.properties.get("region"), message.properties.get("TAGS")], ["eu", "päid"]);
      assertEquals([message.messageId, message.flag, message.reconsumeTimes], [key, 5, 0]);
      assertEquals(message.queue, { topic, broker: t.broker.brokerNames[0], queueId: 0 });
      assertEquals(message.queueOffset, 0);
      assertEquals(message.storeHost, t.broker.address);
      assert(/^127\.0\.0\.1:\d+$/.test(message.bornHost), message.bornHost);
      assert(/^[0-9A-F]{32}$/.test(message.offsetMessageId), message.offsetMessageId);
      assertEquals(parseInt(message.offsetMessageId.slice(16), 16), message.commitLogOffset);
      for (const time of [message.bornAt, message.storedAt]) {
        assert(time.getTime() >= before - 1 && time.getTime() <= Date.now() + 1, time.toISOString());
      }
    },
  },
  {
    name: "a body is a view on the frame, as text, bytes or JSON",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      await t.broker.publish(topic, [{ body: bytes }, `{"price":12.5,"tags":["ä"]}`, "{no json"]);
      const mq = await t.connect();
      const consumer = await mq.consumer<{ price: number }>({ group: t.group(), topics: topic, consumeFrom: "first" });
      const [raw, json, broken] = await take(consumer, 3) as Message<{ price: number }>[];
      assertEquals(raw?.body, bytes);
      assert(raw!.body.buffer.byteLength > raw!.body.byteLength, "the body was copied");
      assertEquals(json?.json().price, 12.5);
      assertEquals(json?.json(), { price: 12.5, tags: ["ä"] } as { price: number });
      assertThrows(() => broken?.json(), MessageFormatError, `of ${topic}@`);
      assertEquals(broken?.text(), "{no json");
    },
  },
  {
    name: "a packed body is unpacked, and a large one comes alone",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const text = "compress me ".repeat(2_000);
      const body = compress(new TextEncoder().encode(text), "zlib", 5);
      const large = new Uint8Array(1024 * 1024).map((_, i) => i % 251);
      await t.broker.publish(topic, [{ body, sysFlag: MessageSysFlag.COMPRESSED }, { body: large }, "small"]);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const [packed, whole, small] = await take(consumer, 3);
      assertEquals(packed?.text(), text);
      assertEquals(whole?.body.length, large.length);
      assert(whole?.body.every((byte, i) => byte === large[i]));
      assertEquals(small?.text(), "small");
    },
  },
  {
    name: "a tag expression selects, and what it leaves out does not hold up the committed offset",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: { [topic]: "a || b" }, consumeFrom: "first" });
      const tagged = ["a", "b", "c", undefined, "A", "ab"].flatMap((tags, i) =>
        texts(5, `${tags}-`, i).map((body) => tags === undefined ? body : { body, tags })
      );
      await t.broker.publish(topic, tagged);
      const messages = await take(consumer, 10);
      assertEquals(sortedTexts(messages), [...texts(5, "a-"), ...texts(5, "b-", 1)].sort());
      await waitUntil(async () => {
        await consumer.commit();
        return await t.broker.committed(group, { topic, queueId: 0 }) === 30;
      }, { what: "the offset passes what was left out" });
    },
  },
  {
    name: "a tag is compared by its text: another one with the same hash code stays out",
    async run(t: Scene) {
      const topic = await t.topic(1); // "Aa" and "BB" have one hash code in Java, by which brokers filter
      await t.broker.publish(topic, [
        { body: "no", tags: "BB" },
        { body: "yes", tags: "Aa" },
        { body: "no", tags: "BB" },
        "no tag",
        { body: "end", tags: "C#" }, // and so have "C#" and "Bb"
      ]);
      const mq = await t.connect();
      const topics = { [topic]: tag("Aa", "C#") };
      const consumer = await mq.consumer({ group: t.group(), topics, consumeFrom: "first" });
      assertEquals((await take(consumer, 2)).map(textOf), ["yes", "end"]);
      const stats = consumer.stats();
      assertEquals([stats.buffered, stats.settled], [0, 2]);
    },
  },
  {
    name: "two loops over one consumer share its messages",
    async run(t: Scene) {
      const topic = await t.topic(4);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first", batchSize: 4 });
      const seen: string[][] = [[], []];
      const stop = new AbortController();
      const loops = seen.map((mine) =>
        t.background(async () => {
          for await (const batch of consumer.batches({ signal: stop.signal })) {
            mine.push(...[...batch].map(textOf));
            if (seen[0]!.length + seen[1]!.length >= 200) stop.abort();
          }
        })
      );
      await t.broker.publish(topic, texts(200));
      await Promise.all(loops);
      assertEquals(seen.flat().sort(), texts(200).sort());
      assert(seen.every((mine) => mine.length > 0), `${seen[0]!.length} and ${seen[1]!.length}`);
    },
  },
  {
    name: "a loop over one topic leaves those of the others to other loops",
    async run(t: Scene) {
      const [one, two] = [await t.topic(2), await t.topic(2)];
      await t.broker.publish(one, texts(20, "one"));
      await t.broker.publish(two, texts(20, "two"));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: [one, two], consumeFrom: "first" });
      assertEquals(sortedTexts(await take(consumer, 20, { topic: two })), texts(20, "two").sort());
      const rest = await take(consumer, 20);
      assertEquals(sortedTexts(rest), texts(20, "one").sort());
      assert(rest.every(({ topic }) => topic === one));
    },
  },
  {
    name: "a message after a quiet time comes at once, however often the pull was renewed meanwhile",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first", pullHold: 1_000 });
      const next = t.background(() => nextBatch(consumer.batches()));
      const started = performance.now();
      await waitUntil(() => performance.now() - started > 2_500, { what: "a quiet time" });
      await t.broker.publish(topic, ["wake up"]);
      const publishedAt = performance.now();
      const batch = await next;
      const took = performance.now() - publishedAt;
      assertEquals([...batch].map(textOf), ["wake up"]);
      await batch.ack();
      assert(took < 800, `it came after ${Math.round(took)} ms`);
    },
  },
  {
    name: "a topic of many queues, and many topics, are read as a whole",
    async run(t: Scene) {
      const wide = await t.topic(128);
      const others = await Promise.all(Array.from({ length: 12 }, () => t.topic(2)));
      const topics = [wide, ...others];
      await t.broker.publish(wide, texts(256, "wide"));
      await Promise.all(others.map((topic) => t.broker.publish(topic, texts(4, topic))));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics, consumeFrom: "first" });
      const messages = await take(consumer, 256 + 48);
      assertEquals(
        sortedTexts(messages),
        [...texts(256, "wide"), ...others.flatMap((topic) => texts(4, topic))].sort(),
      );
      await waitUntil(() => consumer.assignment().length === 128 + 24 + 1, { what: "all queues and the retry queue" });
      const started = performance.now();
      await consumer.close();
      assert(performance.now() - started < 3_000, "closing took long");
    },
  },
  {
    name: "two groups both get every message",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const mq = await t.connect();
      const other = await t.connect();
      const consumers = await Promise.all([
        mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" }),
        mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" }),
        other.consumer({ group: t.group(), topics: topic, consumeFrom: "first" }),
      ]);
      const all = consumers.map((consumer) => t.background(() => take(consumer, 50)));
      await t.broker.publish(topic, texts(50));
      for (const messages of await Promise.all(all)) assertEquals(sortedTexts(messages), texts(50).sort());
    },
  },
  {
    name: "a loop ends without an error when its signal aborts, and its last batch counts as asked for",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const stop = new AbortController();
      await t.broker.publish(topic, texts(3));
      let seen = 0;
      for await (const batch of consumer.batches({ signal: stop.signal })) {
        seen += batch.length;
        if (seen === 3) stop.abort();
      }
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 3);
      const waiting = new AbortController();
      const loop = consumer.batches({ signal: waiting.signal }).next();
      waiting.abort();
      assertEquals(await loop, { done: true, value: undefined });
    },
  },
  {
    name: "an asked-ahead loop is refused with autoAck, and no message is acknowledged unseen",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", batchSize: 1 });
      const batches = consumer.batches();
      const [first, second] = [batches.next(), batches.next()];
      const error = await assertRejects(() => second, ConsumerStateError);
      assertEquals(error.code, "ASKED_AHEAD");
      await t.broker.publish(topic, texts(2));
      assertEquals([...(await first).value!].map(textOf), ["m0"]);
      assertEquals(consumer.stats().settled, 0);
      await batches.return!();
    },
  },
  {
    name: "a stream delivers what its reader asks for, and settles nothing by itself",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first", batchSize: 5 });
      await t.broker.publish(topic, texts(40));
      const reader = consumer.readable().getReader();
      const seen: string[] = [];
      while (seen.length < 40) {
        const { value } = await reader.read();
        seen.push(...[...value!].map(textOf));
        assertEquals(consumer.stats().settled, seen.length - value!.length);
        await value!.ack();
      }
      await reader.cancel();
      assertEquals(duplicatesIn(seen), 0);
      assertEquals(consumer.stats().settled, 40);
    },
  },
];
