/** A broker that is killed and comes back: nothing is lost, and it goes on quickly. */

import { assert, assertEquals, assertLess } from "@std/assert";
import {
  nextBatch,
  type Scenario,
  type Scene,
  sortedTexts,
  take,
  textOf,
  texts,
  waitUntil,
  within,
  work,
} from "../harness.ts";
import { retryTopic } from "../../../src/wire/names.ts";

/** How long after its port opened a broker's messages may take to arrive, in milliseconds. */
const BACK_WITHIN = 2_000;

/** Publishes to the queues in turn, to each as soon as the broker takes it. */
async function publishSoon(t: Scene, topic: string, queues: number, bodies: string[]): Promise<void> {
  for (let queueId = 0; queueId < queues; queueId++) {
    const part = bodies.filter((_, i) => i % queues === queueId); // one request: it is stored as a whole, or not at all
    if (part.length === 0) continue;
    await waitUntil(() => t.broker.publish(topic, part, { queueId }).then(() => true, () => false), {
      what: "the broker takes messages",
      timeout: 60_000,
    });
  }
}

export const scenarios: Scenario[] = [
  {
    name: "a name server that goes away stops nobody, and is asked again when it is back",
    alone: true,
    on: ({ names }) => names !== undefined,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const { mq, untilEvent } = await t.client({ routeInterval: 1_000 });
      const producer = await mq.producer();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      await producer.send({ topic, body: "before" });
      assertEquals((await take(consumer, 1)).map(textOf), ["before"]);
      await t.broker.names!.kill();
      await untilEvent("disconnected", (event) => event.topic === topic);
      await producer.send({ topic, body: "meanwhile" });
      assertEquals((await take(consumer, 1)).map(textOf), ["meanwhile"]);
      await t.broker.names!.revive();
      await t.broker.createTopic(topic, 3);
      await untilEvent("routeChanged", (event) => event.topic === topic);
      await t.broker.publish(topic, texts(3, "after"));
      assertEquals(sortedTexts(await take(consumer, 3)), texts(3, "after"));
    },
  },
  {
    name: "a killed broker that comes back: no message is lost, and consuming goes on within 2 s of its port opening",
    alone: true,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(4);
      const group = t.group();
      const { mq, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", batchSize: 8 });
      const seen: string[] = [];
      let backAt = 0;
      const loop = t.background(async () => {
        for await (const batch of consumer) {
          for (const message of batch) {
            seen.push(message.text());
            if (message.text().startsWith("after") && backAt === 0) backAt = performance.now();
          }
          await work(2);
        }
      });
      await t.broker.publish(topic, texts(400, "before"));
      await waitUntil(() => seen.length >= 100, { what: "some messages" });
      await t.broker.kill();
      await untilEvent("disconnected");
      const reviving = t.broker.revive();
      await publishSoon(t, topic, 4, texts(100, "after"));
      const { openedAt } = await reviving;
      await waitUntil(() => new Set(seen).size >= 500, { what: () => `500 messages, got ${new Set(seen).size}` });
      const took = Math.round(backAt - openedAt);
      t.print(`consuming went on ${took} ms after the port opened`);
      assertLess(took, BACK_WITHIN);
      assertEquals([...new Set(seen)].sort(), [...texts(400, "before"), ...texts(100, "after")].sort());
      assertEquals(seen.length, 500, "the consumer that lived through it got each message once");
      assertEquals(await t.broker.consumerList(group), [mq.clientId]);
      await consumer.close();
      await loop;
      const next = await mq.consumer({ group, topics: topic });
      await publishSoon(t, topic, 1, ["end"]);
      assertEquals((await take(next, 1)).map(textOf), ["end"], "nothing is redelivered after a clean close");
    },
  },
  {
    name: "sends wait for a broker that is killed and revived: none fails, and all are stored",
    alone: true,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(4);
      const { mq, untilEvent } = await t.client();
      const producer = await mq.producer({ sendTimeout: 60_000 });
      const sent: string[] = [];
      let enough = false;
      const failures: unknown[] = [];
      const sender = async (number: number) => {
        for (let turn = 0; !enough; turn++) {
          const body = `${number} ${turn}`;
          await producer.send({ topic, body }).then(() => sent.push(body), (error) => failures.push(error));
          await work(2);
        }
      };
      const sending = t.background(() => Promise.all(Array.from({ length: 8 }, (_, number) => sender(number))));
      await waitUntil(() => sent.length >= 200, { what: "some messages" });
      await t.broker.kill();
      await untilEvent("disconnected");
      const before = sent.length;
      await t.broker.revive();
      await waitUntil(() => sent.length >= before + 200, { what: "messages after the outage", timeout: 60_000 });
      enough = true;
      await sending;
      assertEquals(failures, []);
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const got = new Set<string>();
      while (got.size < sent.length) for (const text of (await take(consumer, 1)).map(textOf)) got.add(text);
      assertEquals([...got].sort(), [...sent].sort());
    },
  },
  {
    name: "a broker that restarts in order: what a producer was told is stored comes once, and offsets stay",
    alone: true,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(4);
      const group = t.group();
      const { mq, untilEvent } = await t.client();
      const producer = await mq.producer({ retries: 0 });
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const seen: string[] = [];
      const places: string[] = [];
      const loop = t.background(async () => {
        for await (const batch of consumer) {
          seen.push(...[...batch].map(textOf));
          places.push(...[...batch].map(({ queue, queueOffset }) => `${queue.topic} ${queue.queueId} ${queueOffset}`));
        }
      });
      const stored: string[] = [];
      let [sent, enough] = [0, false];
      const sending = t.background(async () => {
        while (!enough) {
          const body = `m${sent++}`;
          await producer.send({ topic, body }).then(() => stored.push(body), () => work(20));
        }
      });
      await waitUntil(() => seen.length >= 50, { what: "some messages" });
      await t.broker.restart();
      await untilEvent("disconnected");
      const before = stored.length;
      await waitUntil(() => stored.length >= before + 50, { what: "messages after the restart" });
      enough = true;
      await sending;
      const missing = () => {
        const got = new Set(seen);
        return stored.filter((text) => !got.has(text));
      };
      await waitUntil(() => missing().length === 0, { what: () => `the rest, ${missing()}` });
      // A send whose answer was lost may have been stored twice; what is stored is delivered once.
      assertEquals(places.length, new Set(places).size, "each message once");
      await consumer.close();
      await loop;
      const next = await mq.consumer({ group, topics: topic });
      await publishSoon(t, topic, 1, ["end"]);
      assertEquals((await take(next, 1)).map(textOf), ["end"], "nothing is redelivered");
    },
  },
  {
    name: "a killed broker forgets its last commits: they are written again, also without news",
    alone: true,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      await t.broker.publish(topic, texts(40));
      const messages = await take(consumer, 40);
      assertEquals(messages.length, 40);
      await consumer.commit();
      for (const queueId of [0, 1]) assertEquals(await t.broker.committed(group, { topic, queueId }), 20);
      await t.broker.kill();
      await t.broker.revive();
      for (const queueId of [0, 1]) {
        await waitUntil(async () => await t.broker.committed(group, { topic, queueId }) === 20, {
          what: `the offset of queue ${queueId} is written again`,
        });
      }
    },
  },
  {
    name: "a batch in flight while its broker is away can be settled, and sent back, when it is there again",
    alone: true,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const { mq, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", autoAck: false, batchSize: 2 });
      const batches = consumer.batches();
      const [one, two] = [await nextBatch(batches), await nextBatch(batches)];
      await t.broker.kill();
      await untilEvent("disconnected");
      await one.ack();
      await within(two.retry(two.messages[0]!, { delayLevel: 1 }), "the message is safe, here");
      await untilEvent("sendBackFailed");
      await two.ack(two.messages[1]);
      assertEquals(two.signal.aborted, false);
      await t.broker.revive();
      const here = await nextBatch(batches);
      assertEquals([[...here].map(textOf), here.queue.topic, here.messages[0]!.reconsumeTimes], [["m2"], topic, 1]);
      await here.retry({ delayLevel: 1 });
      const again = await nextBatch(batches);
      assertEquals([[...again].map(textOf), again.messages[0]!.reconsumeTimes], [["m2"], 2]);
      assertEquals([again.topic, again.queue.topic], [topic, retryTopic(group)]);
      await again.ack();
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 4);
    },
  },
  {
    name: "a consumer closes in time while its broker is away, and nothing that it had is lost",
    alone: true,
    timeout: 120_000,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 5 } as const;
      const { mq, untilEvent } = await t.client({ requestTimeout: 1_000 });
      const consumer = await mq.consumer(options);
      await t.broker.publish(topic, texts(20));
      await take(consumer, 5);
      await waitUntil(() => consumer.stats().buffered === 15, { what: "all the others are here" });
      await t.broker.kill();
      await untilEvent("disconnected");
      await take(consumer, 5); // progress that cannot be stored
      const started = performance.now();
      await within(consumer.close(), "close() without a broker", 6_000);
      await within(mq.close(), "the client's close() without a broker", 6_000);
      assert(performance.now() - started < 6_000);
      await untilEvent("commitFailed");
      await t.broker.revive();
      const next = await t.connect();
      const again = await next.consumer(options);
      const got = new Set<string>();
      for (const wanted of texts(15, "m", 5)) {
        while (!got.has(wanted)) for (const message of await take(again, 1)) got.add(message.text());
      }
    },
  },
];
