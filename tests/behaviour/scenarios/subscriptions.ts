/** What a consumer is subscribed to may change while it runs, and SQL is checked before it counts. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type Consumer,
  InvalidSelectorError,
  InvalidTopicError,
  sql,
  SubscriptionConflictError,
} from "../../../mod.ts";
import {
  type Scenario,
  type Scene,
  sortedTexts,
  take,
  type TestMessage,
  textOf,
  texts,
  waitUntil,
} from "../harness.ts";

/** Messages with a price each, from 0 on. */
function priced(count: number): TestMessage[] {
  return Array.from({ length: count }, (_, i) => ({ body: `m${i}`, properties: { price: String(i) } }));
}

/** Messages with a tag. */
function tagged(tags: string, bodies: string[]): TestMessage[] {
  return bodies.map((body) => ({ body, tags }));
}

async function untilQueues(consumer: Consumer, topic: string, count: number): Promise<void> {
  await waitUntil(() => consumer.assignment().filter((queue) => queue.topic === topic).length === count, {
    what: `${count} queues of the topic`,
  });
}

/** A member of a new group, subscribed to one topic, from its beginning. */
async function member(t: Scene, topic: string, group: string = t.group()): Promise<Consumer> {
  const mq = await t.connect();
  return await mq.consumer({ group, topics: topic, consumeFrom: "first" });
}

export const scenarios: Scenario[] = [
  {
    name: "a topic can be subscribed to while the consumer runs, and be left again; its offsets stay",
    async run(t: Scene) {
      const [one, two] = [await t.topic(2), await t.topic(2)];
      const group = t.group();
      await t.broker.publish(two, texts(4));
      const consumer = await member(t, one, group);
      await consumer.subscriptions.subscribe(two);
      assertEquals(sortedTexts(await take(consumer, 4)), texts(4));
      await consumer.subscriptions.unsubscribe(two);
      await untilQueues(consumer, two, 0);
      const committed = async (queueId: number) => await t.broker.committed(group, { topic: two, queueId }) ?? 0;
      await waitUntil(async () => await committed(0) + await committed(1) === 4, { what: "the last commit" });
      await t.broker.publish(two, texts(2, "n"));
      await consumer.subscriptions.subscribe(two);
      assertEquals(sortedTexts(await take(consumer, 2)), texts(2, "n"));
    },
  },
  {
    name: "a topic that nobody knows cannot be subscribed to, and nothing changes",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const consumer = await member(t, topic);
      await assertRejects(() => consumer.subscriptions.subscribe(t.name("nowhere")), InvalidTopicError);
      await assertRejects(() => consumer.subscriptions.subscribe(topic, "other"), SubscriptionConflictError);
      assertEquals(consumer.subscriptions.getAll().map((each) => each.topic), [topic]);
      await t.broker.publish(topic, texts(1));
      assertEquals((await take(consumer, 1)).map(textOf), texts(1));
    },
  },
  {
    name: "a deactivated subscription lets its queues go, and an activated one takes them again where they were",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const consumer = await member(t, topic);
      await t.broker.publish(topic, texts(4));
      await take(consumer, 4);
      await consumer.subscriptions.deactivate(topic);
      await untilQueues(consumer, topic, 0);
      await t.broker.publish(topic, texts(4, "n"));
      await consumer.subscriptions.activate(topic);
      assertEquals(sortedTexts(await take(consumer, 4)), texts(4, "n"));
    },
  },
  {
    name: "updateSelector() counts at once, also for pulls that are held",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      const consumer = await mq.consumer({ group: t.group(), topics: { [topic]: "old" }, consumeFrom: "first" });
      await t.broker.publish(topic, [...tagged("new", ["n0"]), ...tagged("old", ["o0"])]);
      assertEquals((await take(consumer, 1)).map(textOf), ["o0"]);
      await consumer.subscriptions.updateSelector(topic, "new");
      await t.broker.publish(topic, [...tagged("old", ["o1"]), ...tagged("new", ["n1"])]);
      assertEquals((await take(consumer, 1)).map(textOf), ["n1"]);
    },
  },
  {
    name: "an SQL expression selects by properties, at the broker",
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, [...priced(20), "without"]);
      const mq = await t.connect();
      const topics = { [topic]: sql("price BETWEEN 5 AND 8 OR price = '12'") };
      const consumer = await mq.consumer({ group: t.group(), topics, consumeFrom: "first" });
      assertEquals((await take(consumer, 5)).map(textOf), ["m5", "m6", "m7", "m8", "m12"]);
      await waitUntil(async () => (await consumer.lag()).every(({ lag }) => lag === 0), { what: "the rest passed" });
    },
  },
  {
    name: "an SQL expression that the broker does not understand is refused in its words, before anything starts",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const mq = await t.connect();
      const bad = { group, topics: { [topic]: sql("price >") } };
      const error = await assertRejects(() => mq.consumer(bad), InvalidSelectorError);
      assertStringIncludes(error.message, "price >");
      assertEquals(await t.broker.consumerList(group), []);
      const consumer = await mq.consumer({ group, topics: { [topic]: sql("price > 3") }, consumeFrom: "first" });
      const update = () => consumer.subscriptions.updateSelector(topic, sql("price ! 3"));
      await assertRejects(update, InvalidSelectorError);
      await t.broker.publish(topic, priced(6));
      assertEquals((await take(consumer, 2)).map(textOf), ["m4", "m5"]);
    },
  },
];
