/** What operators ask of a running consumer through its broker, and what a consumer notices of its group. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Consumer } from "../../../mod.ts";
import type { ConsumeMessageDirectlyResult } from "../../../src/wire/bodies.ts";
import type { Command } from "../../../src/wire/frame.ts";
import { type JsonObject, pairsOf, parseJson } from "../../../src/wire/json.ts";
import { consumeMessageDirectly, getConsumerRunningInfo, heartbeat } from "../../../src/wire/requests.ts";
import { defaultTransport } from "../../../src/transport/default.ts";
import { memberOf, RawPeer } from "../raw_peer.ts";
import { nextBatch, type Scenario, type Scene, take, textOf, texts, waitUntil } from "../harness.ts";

const decoder = new TextDecoder();

/** Has a client consume one message, as an operator's tool does. */
function consumeNow(t: Scene, group: string, clientId: string, topic: string, msgId: string): Promise<Command> {
  return t.broker.raw.ask(consumeMessageDirectly, { consumerGroup: group, clientId, msgId, topic });
}

function resultOf(answer: Command): ConsumeMessageDirectlyResult {
  assertEquals([answer.code, answer.remark ?? ""], [0, ""]);
  return JSON.parse(decoder.decode(answer.body));
}

/** A consumer that has consumed one message, and that message's place. */
async function consumed(t: Scene, more: Record<string, unknown> = {}) {
  const topic = await t.topic(1);
  const group = t.group();
  await t.broker.publish(topic, ["a"]);
  const { mq, events } = await t.client();
  const consumer: Consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first", ...more });
  const [message] = await take(consumer, 1);
  await consumer.commit();
  return { topic, group, mq, events, consumer, msgId: message!.offsetMessageId };
}

export const scenarios: Scenario[] = [
  {
    name: "a message consumed directly goes to a waiting loop as a batch of one, and moves no offset",
    async run(t: Scene) {
      const { topic, group, mq, consumer, msgId } = await consumed(t);
      const settledBefore = consumer.stats().settled;
      const answer = consumeNow(t, group, mq.clientId, topic, msgId);
      const batch = await nextBatch(consumer.batches());
      assertEquals([[...batch].map(textOf), batch.topic, batch.queue.queueId], [["a"], topic, 0]);
      await batch.ack();
      const result = resultOf(await answer);
      assertEquals([result.consumeResult, result.order, result.autoCommit], ["CR_SUCCESS", false, true]);
      assert(result.spentTimeMills >= 0 && result.spentTimeMills < 8_000);
      assertEquals(consumer.stats().settled, settledBefore);
      await consumer.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: 0 }), 1);
    },
  },
  {
    name: "a message consumed directly: retry and release answer later, a throw in run() answers with the exception",
    async run(t: Scene) {
      const { topic, group, mq, consumer, msgId, events } = await consumed(t);
      for (const settle of ["retry", "deadLetter", "release"] as const) {
        const answer = consumeNow(t, group, mq.clientId, topic, msgId);
        await (await nextBatch(consumer.batches()))[settle]();
        assertEquals(resultOf(await answer).consumeResult, "CR_LATER", settle);
      }
      const stop = new AbortController();
      const running = consumer.run(() => {
        throw new TypeError("cannot handle it");
      }, { signal: stop.signal });
      const { consumeResult, remark } = resultOf(await consumeNow(t, group, mq.clientId, topic, msgId));
      assertEquals([consumeResult, remark], ["CR_THROW_EXCEPTION", "TypeError: cannot handle it"]);
      stop.abort();
      await running;
      assertEquals(events.filter(({ type }) => type === "handlerFailed"), [], "the operator was told");
    },
  },
  {
    name: "a message consumed directly where no loop asks: the answer says so, and a later loop does not get it",
    async run(t: Scene) {
      const { topic, group, mq, consumer, msgId } = await consumed(t, { ordering: "orderly" });
      const answer = await consumeNow(t, group, mq.clientId, topic, msgId);
      assertEquals(answer.code, 1);
      assertMatch(answer.remark ?? "", /no loop has asked for a batch/);
      await t.broker.publish(topic, ["b"]);
      assertEquals((await take(consumer, 1)).map(textOf), ["b"]);
    },
  },
  {
    name: "running info tells of settings, subscriptions and queues; nobody's is an error",
    async run(t: Scene) {
      const { topic, group, mq, consumer } = await consumed(t, { ordering: "orderly" });
      await t.broker.publish(topic, texts(3));
      await waitUntil(() => consumer.stats().buffered === 3, { what: "they are here" });
      const header = { consumerGroup: group, clientId: mq.clientId, jstackEnable: false };
      const answer = await t.broker.raw.askWell(getConsumerRunningInfo, header);
      const info = parseJson(decoder.decode(answer.body)) as JsonObject;
      const { PROP_CONSUME_TYPE, PROP_CONSUMEORDERLY, PROP_NAMESERVER_ADDR, ordering } = info.properties as JsonObject;
      assertEquals(
        [PROP_CONSUME_TYPE, PROP_CONSUMEORDERLY, PROP_NAMESERVER_ADDR, ordering],
        ["CONSUME_PASSIVELY", "true", t.broker.nameServer, "orderly"],
      );
      const [, queue] = pairsOf(info.mqTable).find(([name]) => name.topic === topic)!;
      const { commitOffset, cachedMsgMinOffset, cachedMsgMaxOffset, cachedMsgCount, locked } = queue as JsonObject;
      assertEquals([commitOffset, cachedMsgMinOffset, cachedMsgMaxOffset, cachedMsgCount, locked], [1, 1, 3, 3, true]);
      assert(Object.hasOwn(info.statusTable as JsonObject, topic));
      const nobody = await t.broker.raw.ask(getConsumerRunningInfo, { ...header, clientId: "nobody" });
      assert(nobody.code !== 0);
    },
  },
  {
    name: "a group whose members subscribe to different things is noticed",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const a = await t.client();
      const options = { group, consumeFrom: "first", rebalanceInterval: 1_000 } as const;
      await a.mq.consumer({ ...options, topics: { [topic]: "a" } });
      const b = await t.client();
      await b.mq.consumer({ ...options, topics: { [topic]: "a || b" } });
      const told = await a.untilEvent("mixedSubscriptions");
      assertEquals([told.group, told.topic, told.level], [group, topic, "warning"]);
      assertMatch(told.text, /TAG "a" here.*TAG "a \|\| b"/);
    },
  },
  {
    name: "another client with the id of this one is noticed",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const { mq, untilEvent } = await t.client();
      await mq.consumer({ group, topics: topic, rebalanceInterval: 1_000 });
      const other = new RawPeer(await defaultTransport(), t.broker.address);
      t.finally(() => other.close()); // the broker forgets the twin with its connection
      await other.askWell(heartbeat, {}, memberOf(group, mq.clientId));
      await untilEvent("duplicateClientId", (event) => event.group === group);
    },
  },
];
