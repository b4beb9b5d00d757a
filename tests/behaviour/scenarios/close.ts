/** Closing: what is done is stored, what is not is redelivered, and nothing is left. */

import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { ConsumerStateError, RocketMQError } from "../../../mod.ts";
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
} from "../harness.ts";

export const scenarios: Scenario[] = [
  {
    name: "a close from outside ends loops at their next ask, which still acknowledges; nothing is redelivered",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 4 } as const;
      await t.broker.publish(topic, texts(40));
      const mq = await t.connect();
      const consumer = await mq.consumer(options);
      const seen: string[] = [];
      let closing: Promise<void> | undefined;
      for await (const batch of consumer) {
        seen.push(...[...batch].map(textOf));
        if (seen.length >= 12) closing ??= consumer.close();
      }
      await within(closing!, "the end of close()");
      assertLess(seen.length, 40, "the loop went on");
      const next = await mq.consumer(options);
      seen.push(...(await take(next, 40 - seen.length)).map(textOf));
      assertEquals(seen.toSorted(), texts(40).sort());
    },
  },
  {
    name: "close() waits for the batch in flight, whose ack counts",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, texts(4));
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", autoAck: false, batchSize: 2 });
      const batches = consumer.batches();
      const batch = await nextBatch(batches);
      let closed = false;
      const closing = consumer.close().then(() => closed = true);
      assertEquals(await within(batches.next(), "the end of the loop"), { done: true, value: undefined });
      assertEquals([consumer.closing.aborted, batch.signal.aborted], [true, false]);
      assertEquals(await t.broker.consumerList(group), [mq.clientId], "still a member");
      assertEquals(closed, false);
      await batch.ack();
      await within(closing, "the end of close()");
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 2);
      assertEquals(await t.broker.consumerList(group), []);
    },
  },
  {
    name: "a close past its timeout releases what is in flight: it is redelivered to the next consumer",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "first", autoAck: false, batchSize: 2 } as const;
      await t.broker.publish(topic, texts(6));
      const mq = await t.connect();
      const consumer = await mq.consumer(options);
      const batches = consumer.batches();
      const [one, two] = [await nextBatch(batches), await nextBatch(batches)];
      await one.ack();
      const { signal } = two;
      const started = performance.now();
      await consumer.close({ timeout: 100 });
      const took = performance.now() - started;
      assert(took >= 95 && took < 3_000, `close() took ${Math.round(took)} ms`);
      assert(signal.aborted);
      await two.ack(); // too late
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 2);
      const next = await mq.consumer({ ...options, closeTimeout: 0 });
      const again = await nextBatch(next.batches());
      assertEquals([...again].map(textOf), ["m2", "m3"]);
      assertEquals(again.messages.map(({ reconsumeTimes }) => reconsumeTimes), [0, 0]);
      await within(next.close(), "close() with closeTimeout: 0", 3_000);
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 2);
    },
  },
  {
    name: "a batch that rests when its consumer closes is redelivered to the next one",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "first", suspendQueue: 30_000 } as const;
      await t.broker.publish(topic, texts(3));
      const mq = await t.connect();
      const consumer = await mq.consumer(options);
      (await nextBatch(consumer.batches())).release();
      await within(consumer.close(), "close() while a batch rests", 3_000);
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 0);
      const next = await mq.consumer(options);
      assertEquals((await take(next, 3)).map(textOf), texts(3));
    },
  },
  {
    name: "close() waits for a retry that is on its way",
    on: ({ faults }) => faults !== undefined,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, ["kept"]);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const fault = t.broker.faults!.answer("SendBack", "delay", { match: ({ fields }) => fields.group === group });
      t.finally(() => fault.remove());
      const batch = await nextBatch(consumer.batches());
      const retried = batch.retry({ delayLevel: 1 });
      await fault.reached();
      let closed = false;
      const closing = consumer.close().then(() => closed = true);
      await t.broker.committed(group, { topic, queueId: 0 }); // a round trip to the broker
      assertEquals(closed, false);
      fault.release();
      await Promise.all([retried, within(closing, "the end of close()")]);
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 1);
      const next = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const [again] = await take(next, 1);
      assertEquals([again?.text(), again?.reconsumeTimes], ["kept", 1]);
    },
  },
  {
    name: "a client closes its consumers first: they commit and leave their groups",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const groups = [t.group(), t.group()];
      await t.broker.publish(topic, texts(20));
      const { mq, transport } = await t.client();
      for (const group of groups) {
        const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", persistInterval: 60_000 });
        await take(consumer, 20);
      }
      await mq.close();
      for (const group of groups) {
        assertEquals(await t.broker.consumerList(group), []);
        for (const queueId of [0, 1]) assertEquals(await t.broker.committed(group, { topic, queueId }), 10);
      }
      assertEquals(transport.open, 0);
      const error = await assertRejects(() => mq.consumer({ group: groups[0]!, topics: topic }), RocketMQError);
      assertEquals(error.code, "CLIENT_CLOSED");
    },
  },
  {
    name: "a closed consumer says so, may be closed again, and its group can be joined again",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const [queue] = consumer.assignment();
      await Promise.all([consumer.close(), consumer.close()]);
      await consumer[Symbol.asyncDispose]();
      for (const use of [() => consumer.seek(queue!, 0), () => consumer.drain(), async () => await consumer.resume()]) {
        assertEquals((await assertRejects(use, ConsumerStateError)).code, "CONSUMER_CLOSED");
      }
      for await (const batch of consumer) throw new RangeError(`a batch of ${batch.length} after close()`);
      await within(consumer.run(() => {}), "run() on a closed consumer");
      const again = await mq.consumer({ group, topics: topic });
      assertEquals(await t.broker.consumerList(group), [mq.clientId]);
      await again.close();
    },
  },
  {
    name: "a close while nothing has arrived is quick, also with pulls held at the broker",
    async run(t: Scene) {
      const topic = await t.topic(8);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: topic });
      const next = consumer.batches().next();
      await waitUntil(() => consumer.assignment().length === 9, { what: "all queues" });
      const started = performance.now();
      await consumer.close();
      await mq.close();
      assertLess(performance.now() - started, 2_000);
      assertEquals(await next, { done: true, value: undefined });
    },
  },
  {
    name: "a close in the middle of a handover loses nothing",
    async run(t: Scene) {
      const topic = await t.topic(4);
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 3 } as const;
      await t.broker.publish(topic, texts(200));
      const [a, b] = [await t.connect(), await t.connect()];
      const first = await a.consumer(options);
      const seen = (await take(first, 30)).map(textOf);
      const second = await b.consumer(options); // it will get two queues, a second from now
      await first.close();
      const rest = await take(second, 200 - seen.length);
      assertEquals(sortedTexts(rest).concat(seen).sort(), texts(200).sort());
    },
  },
];
