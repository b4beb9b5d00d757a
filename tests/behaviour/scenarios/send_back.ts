/** Whose retry a message is, and what becomes of messages that no broker takes back. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Consumer, Message } from "../../../mod.ts";
import { PropertyName } from "../../../src/wire/codes.ts";
import { deadLetterTopic, retryTopic } from "../../../src/wire/names.ts";
import { consumeMessageDirectly, sendBack } from "../../../src/wire/requests.ts";
import { nextBatch, type Scenario, type Scene, textOf, untilDead, waitUntil, within } from "../harness.ts";

/** The record flags of an inner batch: 4.9 stores such a message without a look at its body. */
const INNER_BATCH = 0xc0;

/** Makes a dead letter of a new group; the record says that it came back twice. */
async function deadLetter(t: Scene, text: string) {
  const topic = await t.topic(1);
  const group = t.group();
  await t.broker.publish(topic, [text]);
  const { mq } = await t.client();
  const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", maxReconsumeTimes: 1 });
  const batches = consumer.batches({ topic });
  await (await nextBatch(batches)).retry({ delayLevel: 1 });
  const again = await nextBatch(batches);
  const { messageId } = again.messages[0]!;
  await again.retry();
  await untilDead(t, group, 1);
  return { topic, group, mq, consumer, batches, messageId, dead: deadLetterTopic(group) };
}

/** A consumer of a dead letter queue. */
async function repair(t: Scene, dead: string, maxReconsumeTimes = 16): Promise<{ group: string; consumer: Consumer }> {
  const group = t.group();
  const mq = await t.connect();
  const options = { group, topics: dead, consumeFrom: "first", missingTopic: "wait", maxReconsumeTimes } as const;
  return { group, consumer: await mq.consumer(options) };
}

/** What matters of the one message of a batch. */
function shown([message]: readonly Message[]): unknown[] {
  const { topic, queue, reconsumeTimes } = message!;
  return [message!.text(), topic, queue.topic, reconsumeTimes];
}

export const scenarios: Scenario[] = [
  {
    name: "a group that repairs dead letters counts from 0, and its retries reach the loop of their topic",
    async run(t: Scene) {
      const { dead, messageId } = await deadLetter(t, "hopeless");
      const { group, consumer } = await repair(t, dead, 2);
      const batches = consumer.batches({ topic: dead });
      for (const times of [0, 1, 2]) {
        const batch = await nextBatch(batches);
        const from = times === 0 ? dead : retryTopic(group);
        assertEquals(shown(batch.messages), ["hopeless", dead, from, times]);
        assertEquals(batch.messages[0]!.messageId, messageId);
        await batch.retry({ delayLevel: 1 });
      }
      await untilDead(t, group, 1);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic: dead, queueId: 0 }), 1);
      assertEquals(await t.broker.maxOffset({ topic: retryTopic(group), queueId: 0 }), 2);
    },
  },
  {
    name: "a dead letter that another client has sent back reaches the loop of the one dead letter queue subscribed",
    async run(t: Scene) {
      const { dead, topic } = await deadLetter(t, "hopeless");
      const { group, consumer } = await repair(t, dead);
      const batches = consumer.batches({ topic: dead });
      const first = await nextBatch(batches);
      const [message] = first.messages;
      const answer = await t.broker.raw.ask(sendBack, { // as Java does it
        offset: message!.commitLogOffset,
        group,
        delayLevel: 1,
        originMsgId: message!.messageId,
        originTopic: dead,
        unitMode: false,
        maxReconsumeTimes: 16,
      });
      assertEquals(answer.code, 0, answer.remark);
      await first.ack();
      const again = await nextBatch(batches);
      assertEquals(again.messages[0]!.property(PropertyName.RETRY_TOPIC), topic, "brokers keep the first topic");
      assertEquals([again.topic, again.queue.topic], [dead, retryTopic(group)]);
      await again.ack();
    },
  },
  {
    name: "a dead letter that an operator has consumed directly goes to the loop of its topic",
    async run(t: Scene) {
      const { dead, topic, group, mq, batches } = await deadLetter(t, "hopeless");
      const taken = nextBatch(batches);
      const { consumer } = await repair(t, dead);
      const letter = await nextBatch(consumer.batches());
      const msgId = letter.messages[0]!.offsetMessageId;
      await letter.ack();
      const header = { consumerGroup: group, clientId: mq.clientId, msgId, topic: dead };
      const answer = t.broker.raw.ask(consumeMessageDirectly, header);
      const batch = await taken;
      assertEquals(shown(batch.messages), ["hopeless", topic, dead, 2]);
      await batch.ack();
      assertEquals((await answer).code, 0);
    },
  },
  {
    name: "a message whose properties leave no room for a retry goes as a copy, or is redelivered here",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const long = "x".repeat(32_767 - 200);
      const longer = "x".repeat(32_767 - (t.broker.line === 4 ? 105 : 130)); // 5.x brokers add more at once
      await t.broker.publish(topic, [{ body: "copied", properties: { long } }]);
      await t.broker.publish(topic, [{ body: "kept", properties: { long: longer } }]);
      const { mq, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", autoAck: false });
      const batches = consumer.batches();
      const seen: unknown[][] = [];
      while (seen.length < 2) {
        const batch = await nextBatch(batches);
        seen.push(...[...batch].map((message) => shown([message])));
        await batch.retry({ delayLevel: 1 });
      }
      assertEquals(seen, [["copied", topic, topic, 0], ["kept", topic, topic, 0]]);
      while (seen.length < 4) {
        const batch = await nextBatch(batches);
        seen.push(...[...batch].map((message) => shown([message])));
        await batch.ack();
      }
      assertEquals(seen.slice(2), [["copied", topic, retryTopic(group), 1], ["kept", topic, topic, 1]]);
      const { text } = await untilEvent("sendBackFailed");
      assertMatch(text, /larger than brokers take; it is redelivered here in 5000 ms/);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 2);
    },
  },
  {
    name: "a group with a long name: what brokers do not take back is redelivered here, and an event warns at the join",
    on: ({ name }) => name !== "5.5.0", // which has no such group: the join fails
    async run(t: Scene) {
      const topic = await t.topic(1);
      await t.broker.publish(topic, ["kept"]);
      const group = t.name("g".repeat(140));
      const { mq, untilEvent, events } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", maxReconsumeTimes: 1 });
      const what = t.broker.line === 4 ? "retries and dead letters" : "dead letters";
      const { text } = await untilEvent("sendBackFailed");
      assert(text.includes(`stores no ${what} of group "${group}"`), text);
      const batches = consumer.batches();
      await (await nextBatch(batches)).retry({ delayLevel: 1 });
      const again = await nextBatch(batches);
      const retried = t.broker.line === 4 ? topic : retryTopic(group);
      assertEquals(shown(again.messages), ["kept", topic, retried, 1]);
      await again.retry(); // it is dead now, and nobody takes it
      const last = await nextBatch(batches);
      assertEquals(shown(last.messages), ["kept", topic, retried, 2]);
      await last.ack();
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic: retried, queueId: 0 }), 1);
      assert(!events.some(({ type }) => type === "deadLettered"));
    },
  },
  {
    name: "a send-back that is refused for good: redelivered here, others go on, and close() does not wait",
    on: ({ faults }) => faults !== undefined,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, ["bad", "good"]);
      const { faults } = t.broker;
      const ofGroup = {
        times: Infinity,
        match: ({ fields }: { fields: Readonly<Record<string, string>> }) => JSON.stringify(fields).includes(group),
      };
      const refused = [
        faults!.answer("SendBack", { code: 16, remark: "no permission" }, ofGroup),
        faults!.answer("SendMessage", { code: 13, remark: "illegal" }, ofGroup),
      ];
      t.finally(() => refused.forEach((fault) => fault.remove()));
      const { mq, untilEvent } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", batchSize: 1 });
      const batches = consumer.batches();
      const first = await nextBatch(batches);
      await first.retry();
      assertEquals(refused.map(({ hits }) => hits), [1, 1], "each way is tried once");
      assertMatch((await untilEvent("sendBackFailed")).text, /16 "no permission".*13 "illegal"/);
      const good = await nextBatch(batches);
      assertEquals([...good].map(textOf), ["good"]);
      await good.ack();
      const bad = await nextBatch(batches);
      assertEquals(shown(bad.messages), ["bad", topic, topic, 1]);
      await bad.retry();
      await waitUntil(() => consumer.stats().inFlight === 0, { what: "nothing in flight" });
      assertEquals(consumer.stats().buffered, 1);
      await within(consumer.close(), "the end of close()", 2_000);
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 0);
    },
  },
  {
    name: "a record that cannot be read goes to the dead letter queue once, and the others go on",
    on: ({ name }) => name === "4.9.7",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      await t.broker.publish(topic, ["a"]);
      await t.broker.publish(topic, [{ body: "no batch", sysFlag: INNER_BATCH }]);
      await t.broker.publish(topic, ["b"]);
      const { mq, untilEvent, events } = await t.client();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const seen: string[] = [];
      for await (const batch of consumer) {
        seen.push(...[...batch].map(textOf));
        await batch.ack();
        if (seen.length === 2) break;
      }
      assertEquals(seen, ["a", "b"]);
      await untilEvent("deadLettered");
      await untilDead(t, group, 1);
      await waitUntil(async () => {
        await consumer.commit();
        return await t.broker.committed(group, { topic, queueId: 0 }) === 3;
      }, { what: "the commit behind the record" });
      assertEquals(events.filter(({ type }) => type === "broken").length, 1);
    },
  },
];
