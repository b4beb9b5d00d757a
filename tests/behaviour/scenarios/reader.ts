/** Readers: queues without a group. */

import { assertEquals, assertRejects } from "@std/assert";
import {
  ConfigError,
  InvalidTopicError,
  type Reader,
  type ReaderBatch,
  type ReaderOptions,
  sql,
} from "../../../mod.ts";
import { type Scenario, type Scene, textOf, texts, waitUntil, within, work } from "../harness.ts";

/** Opens a reader on a client of its own. */
async function open(t: Scene, options: ReaderOptions): Promise<Reader> {
  const mq = await t.connect();
  return await mq.reader(options);
}

/** The next batch of a reader. */
async function nextRead(batches: AsyncIterator<ReaderBatch, unknown>): Promise<ReaderBatch> {
  const { done, value } = await within(batches.next(), "a batch");
  if (done) throw new Error("The loop has ended");
  return value as ReaderBatch;
}

/** Reads so many messages, and marks them as read. */
async function read(reader: Reader, count: number): Promise<string[]> {
  const batches = reader.batches();
  const seen: string[] = [];
  while (seen.length < count) {
    const batch = await nextRead(batches);
    seen.push(...[...batch].map(textOf));
    await batch.ack();
  }
  return seen;
}

/** Waits until the positions of all queues are known. */
function untilOpen(reader: Reader, queues: number): Promise<unknown> {
  return waitUntil(async () => (await reader.lag()).filter(({ isOpen }) => isOpen).length === queues, {
    what: `${queues} open queues`,
  });
}

export const scenarios: Scenario[] = [
  {
    name: "reader: reads all queues from the earliest on, each in order, and tails them",
    async run(t: Scene) {
      const topic = await t.topic(3);
      await t.broker.publish(topic, texts(90));
      const reader = await open(t, { topic, from: "earliest" });
      const batches = reader.batches();
      const offsets = new Map<number, number[]>();
      const seen: string[] = [];
      const more = async (count: number) => {
        while (seen.length < count) {
          const batch = await nextRead(batches);
          const { queueId } = batch.queue;
          offsets.set(queueId, [...offsets.get(queueId) ?? [], ...[...batch].map(({ queueOffset }) => queueOffset)]);
          seen.push(...[...batch].map(textOf));
        }
      };
      await more(90);
      await t.broker.publish(topic, texts(9, "late"));
      await more(99);
      assertEquals(seen.toSorted(), [...texts(90), ...texts(9, "late")].sort());
      assertEquals([...offsets.values()], Array(3).fill(Array.from({ length: 33 }, (_, offset) => offset)));
      assertEquals(await t.broker.consumerList("denorocket_reader"), [], "a reader is in no group");
    },
  },
  {
    name: "reader: begins at the latest, at an offset, at a time, each queue for itself",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(5));
      const latest = await open(t, { topic });
      await untilOpen(latest, 1);
      await work(20); // the next are stored in a later millisecond
      await t.broker.publish(topic, texts(2, "new"));
      const since = await storedAt(t, topic, 5);
      assertEquals(await read(latest, 2), texts(2, "new"));
      assertEquals(await read(await open(t, { topic, from: 3 }), 4), ["m3", "m4", "new0", "new1"]);
      assertEquals(await read(await open(t, { topic, from: since }), 2), texts(2, "new"));
      assertEquals(await read(await open(t, { topic, from: since.toISOString() }), 2), texts(2, "new"));
    },
  },
  {
    name: "reader: from the latest on, reads all that is sent after it has opened, however soon",
    async run(t: Scene) {
      const topic = await t.topic(4);
      await t.broker.publish(topic, texts(8, "old"));
      const reader = await open(t, { topic, from: "latest" });
      await t.broker.publish(topic, texts(8, "new"));
      assertEquals((await read(reader, 8)).sort(), texts(8, "new"));
    },
  },
  {
    name: "reader: stores nothing by itself; what commit() has stored is where from: committed begins",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(6));
      const first = await open(t, { topic, group, from: "committed", batchSize: 2 });
      assertEquals(await read(first, 2), texts(2));
      const unread = await nextRead(first.batches());
      assertEquals([...unread].map(textOf), ["m2", "m3"]);
      await first.close();
      const second = await open(t, { topic, group, from: "committed", batchSize: 3 });
      assertEquals(await read(second, 3), texts(3));
      await second.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 3);
      await second.close();
      const third = await open(t, { topic, group, from: "committed" });
      assertEquals(await read(third, 3), texts(3, "m", 3));
    },
  },
  {
    name: "reader: reads chosen queues, and those alone",
    async run(t: Scene) {
      const topic = await t.topic(3);
      await t.broker.publish(topic, texts(4, "a"), { queueId: 0 });
      await t.broker.publish(topic, texts(4, "b"), { queueId: 1 });
      const queues = [{ topic, broker: t.broker.brokerNames[0]!, queueId: 1 }];
      const reader = await open(t, { topic, from: "earliest", queues });
      assertEquals(reader.queues, queues);
      assertEquals(await read(reader, 4), texts(4, "b"));
      assertEquals((await reader.lag()).map(({ lag }) => lag), [0]);
    },
  },
  {
    name: "reader: seek() goes to another place, in one queue or in all, and voids what is in flight",
    async run(t: Scene) {
      const topic = await t.topic(2);
      await t.broker.publish(topic, texts(4, "a"), { queueId: 0 });
      await t.broker.publish(topic, texts(4, "b"), { queueId: 1 });
      const reader = await open(t, { topic, from: "earliest" });
      await read(reader, 8);
      const [queue] = reader.queues.filter(({ queueId }) => queueId === 0);
      await reader.seek(2, queue);
      const batch = await nextRead(reader.batches());
      assertEquals([...batch].map(textOf), ["a2", "a3"]);
      await reader.seek("earliest");
      assertEquals(batch.signal.aborted, true);
      assertEquals((await read(reader, 8)).sort(), [...texts(4, "a"), ...texts(4, "b")]);
      await reader.seek("latest");
      await t.broker.publish(topic, ["c"], { queueId: 1 });
      assertEquals(await read(reader, 1), ["c"]);
    },
  },
  {
    name: "reader: filters by tags and SQL, pauses and goes on",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const messages = [{ body: "a", tags: "a" }, { body: "b", tags: "b" }, { body: "c", properties: { price: "20" } }];
      await t.broker.publish(topic, messages);
      assertEquals(await read(await open(t, { topic, from: "earliest", filter: "b" }), 1), ["b"]);
      const priced = await open(t, { topic, from: "earliest", filter: sql("price > 10") });
      priced.pause();
      const next = priced.batches().next();
      await untilOpen(priced, 1);
      priced.resume();
      assertEquals([...(await within(next, "a batch")).value!].map(textOf), ["c"]);
    },
  },
  {
    name: "reader: follows queues that are added, from their beginning; several share one client and one group",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect({ routeInterval: 1_000 });
      const readers = await Promise.all([1, 2].map(() => mq.reader({ topic })));
      await Promise.all(readers.map((reader) => untilOpen(reader, 1)));
      await t.broker.createTopic(topic, 2);
      await t.broker.publish(topic, ["on the new queue"], { queueId: 1 });
      for (const reader of readers) assertEquals(await read(reader, 1), ["on the new queue"]);
    },
  },
  {
    name: "reader() names every bad option in one ConfigError, and a topic that nobody knows",
    async run(t: Scene) {
      const mq = await t.connect();
      const bad = { topic: "a b", from: "whenever", queues: [{}], batchSize: 0, group: "?", nonsense: 1 };
      const error = await assertRejects(() => mq.reader(bad as never), ConfigError);
      const fields = error.problems.map(({ field }) => field).sort();
      assertEquals(fields, ["batchSize", "from", "group", "nonsense", "queues", "topics"]);
      await assertRejects(() => mq.reader({ topic: t.name("nowhere") }), InvalidTopicError);
    },
  },
];

/** When a message was stored, by the broker's clock. */
async function storedAt(t: Scene, topic: string, offset: number): Promise<Date> {
  const reader = await open(t, { topic, from: offset });
  const batch = await nextRead(reader.batches());
  await reader.close();
  return batch.messages[0]!.storedAt;
}
