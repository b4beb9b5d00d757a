/** Handlers: how many work at a time, and what a failure of one does. */

import { assert, assertEquals } from "@std/assert";
import { ConfigError, type Message, MessageConsumeError } from "../../../mod.ts";
import { retryTopic } from "../../../src/wire/names.ts";
import { type Scenario, type Scene, textOf, texts, waitUntil, within, work } from "../harness.ts";

export const scenarios: Scenario[] = [
  {
    name: "run() calls as many handlers at a time as concurrency allows, and no more",
    async run(t: Scene) {
      const topic = await t.topic(4);
      await t.broker.publish(topic, texts(60));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first", batchSize: 1 });
      const stop = new AbortController();
      let [working, most, done] = [0, 0, 0];
      await within(
        consumer.run(async () => {
          most = Math.max(most, ++working);
          await work(5);
          working--;
          if (++done === 60) stop.abort();
        }, { concurrency: 3, signal: stop.signal }),
        "the end of run()",
      );
      assertEquals([most, working, done], [3, 0, 60]);
      assertEquals(consumer.stats().settled, 60);
    },
  },
  {
    name: "run() sends back what a handler that throws has not settled, tells why, and goes on",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const { mq, untilEvent } = await t.client();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 4, consumeTimeout: 10_000 } as const;
      await t.broker.publish(topic, texts(12));
      const consumer = await mq.consumer(options);
      const seen: string[] = [];
      const stop = new AbortController();
      const running = t.background(() =>
        consumer.run(async (batch) => {
          seen.push(...[...batch].map((message) => `${message.text()}.${message.reconsumeTimes}`));
          const bad = batch.messages.find((message) => message.text() === "m5" && message.reconsumeTimes === 0);
          if (bad === undefined) return;
          await batch.ack(batch.messages[0]);
          throw new RangeError("m5 is bad");
        }, { concurrency: 2, signal: stop.signal })
      );
      // m4 was acknowledged; m5, m6 and m7 are redelivered, the others went on meanwhile.
      await waitUntil(() => seen.length >= 15, { what: () => `15 messages, got ${seen}` });
      assertEquals(seen.toSorted(), [...texts(12).map((text) => `${text}.0`), "m5.1", "m6.1", "m7.1"].sort());
      const event = await untilEvent("handlerFailed");
      assert(event.error instanceof MessageConsumeError);
      assertEquals((event.error.cause as Error).message, "m5 is bad");
      assertEquals([event.error.topic, event.error.messageIds.length > 0], [topic, true]);
      assertEquals([event.group, event.topic, event.queue?.topic, event.offset], [group, topic, topic, 4]);
      stop.abort();
      await within(running, "the end of run()");
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 12);
      assertEquals(consumer.stats().retried, 3);
    },
  },
  {
    name: "runEach() retries the one message whose handler failed",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const { mq, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const seen: string[] = [];
      const running = t.background(() =>
        consumer.runEach((message: Message) => {
          seen.push(`${textOf(message)}.${message.reconsumeTimes}`);
          if (textOf(message) === "m7" && message.reconsumeTimes === 0) throw new RangeError("once");
        })
      );
      await t.broker.publish(topic, texts(20));
      await waitUntil(() => seen.includes("m7.1"), { what: "the retry" });
      assertEquals(seen.toSorted(), [...texts(20).map((text) => `${text}.0`), "m7.1"].sort());
      assertEquals(await t.broker.maxOffset({ topic: retryTopic(group), queueId: 0 }), 1);
      await untilEvent("handlerFailed");
      await consumer.close();
      await within(running, "the end of runEach()");
    },
  },
  {
    name: "run() ends when the consumer closes, after the handlers that are at work",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(2));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", batchSize: 1 });
      let [begun, finished] = [0, 0];
      const running = t.background(() =>
        consumer.run(async (batch) => {
          begun++;
          await waitUntil(() => consumer.closing.aborted, { what: "the consumer closes" });
          assert(!batch.signal.aborted);
          finished++;
        }, { concurrency: 2 })
      );
      await waitUntil(() => begun === 2, { what: "two handlers" });
      await consumer.close();
      assertEquals(finished, 2);
      await within(running, "the end of run()");
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 2);
    },
  },
  {
    name: "run() names every bad option",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic });
      const options = { concurrency: 0, parallel: 3 } as { concurrency: number };
      const error = await consumer.run(() => {}, options).then(() => undefined, (error) => error);
      assert(error instanceof ConfigError);
      assertEquals(error.problems.map(({ field }) => field).sort(), ["concurrency", "parallel"]);
    },
  },
];
