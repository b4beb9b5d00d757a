/** Several members: who owns which queue, and what a change of owners does to messages. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Client, type Consumer, ConsumerStartError, type MessageBatch } from "../../../mod.ts";
import { retryTopic } from "../../../src/wire/names.ts";
import { nextBatch, type Scenario, type Scene, sortedTexts, take, textOf, texts, waitUntil, work } from "../harness.ts";

/** A member of a group. */
interface Member {
  readonly mq: Client;
  readonly consumer: Consumer;
}

/**
 * The number of queues and the first one of each member, as Java's AllocateMessageQueueAveragely computes them:
 * `index * averageSize` or `index * averageSize + mod`.
 */
function javaAverage(queues: number, members: number, index: number): number[] {
  const mod = queues % members;
  const averageSize = queues <= members
    ? 1
    : mod > 0 && index < mod
    ? Math.floor(queues / members) + 1
    : Math.floor(queues / members);
  const startIndex = mod > 0 && index < mod ? index * averageSize : index * averageSize + mod;
  const range = Math.min(averageSize, queues - startIndex);
  return Array.from({ length: Math.max(0, range) }, (_, i) => startIndex + i);
}

/** Waits until each member has exactly the queues that Java would give it. */
async function untilSettled(members: readonly Member[], topic: string, queues: number): Promise<void> {
  const sorted = [...members].sort((a, b) => a.mq.clientId < b.mq.clientId ? -1 : 1);
  const wanted = sorted.map((_, index) => javaAverage(queues, sorted.length, index).join());
  const actual = () =>
    sorted.map(({ consumer }) =>
      consumer.assignment().filter((queue) => queue.topic === topic).map(({ queueId }) => queueId)
        .sort((a, b) => a - b).join()
    );
  await waitUntil(() => actual().join(" | ") === wanted.join(" | "), {
    what: () => `the queues ${wanted.join(" | ")}; they are ${actual().join(" | ")}`,
  });
}

export const scenarios: Scenario[] = [
  {
    name: "a group of 1, 2, 3, 2 and 1 members has one owner per queue, the one that Java would choose",
    async run(t: Scene) {
      const queues = 7;
      const topic = await t.topic(queues);
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 5 } as const;
      const members: Member[] = [];
      const seen: string[] = [];
      const loops: Promise<void>[] = [];
      let sent = 0;
      const join = async () => {
        const mq = await t.connect();
        const consumer = await mq.consumer(options);
        members.push({ mq, consumer });
        loops.push(t.background(async () => {
          for await (const batch of consumer) seen.push(...[...batch].map(textOf));
        }));
      };
      const leave = async (at: number) => {
        const [{ consumer }] = members.splice(at, 1) as [Member];
        await consumer.close();
      };
      for (const change of [join, join, join, () => leave(0), () => leave(1)]) {
        await change();
        await untilSettled(members, topic, queues);
        await t.broker.publish(topic, texts(70, "m", sent));
        sent += 70;
        await waitUntil(() => seen.length >= sent, { what: () => `${sent} messages, got ${seen.length}` });
      }
      assertEquals(seen.toSorted(), texts(sent).sort(), "each message once");
      const retries = members.flatMap(({ consumer }) => consumer.assignment())
        .filter((queue) => queue.topic === retryTopic(group));
      assertEquals(retries.length, 1);
      for (const { consumer } of members) await consumer.close();
      await Promise.all(loops);
    },
  },
  {
    name: "more members than queues: those without one wait, and take over when another leaves",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const members: Member[] = [];
      for (let i = 0; i < 3; i++) {
        const mq = await t.connect();
        members.push({ mq, consumer: await mq.consumer({ group, topics: topic, consumeFrom: "first" }) });
      }
      await untilSettled(members, topic, 1);
      for (let turn = 0; turn < 3; turn++) {
        const owner = members.find(({ consumer }) => consumer.assignment().some((queue) => queue.topic === topic))!;
        await t.broker.publish(topic, [`m${turn}`]);
        assertEquals((await take(owner.consumer, 1)).map(textOf), [`m${turn}`]);
        members.splice(members.indexOf(owner), 1);
        await owner.consumer.close();
        if (members.length > 0) await untilSettled(members, topic, 1);
      }
    },
  },
  {
    name: "a handover brings no duplicates where batches settle within half a second",
    async run(t: Scene) {
      const queues = 4;
      const topic = await t.topic(queues);
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 4 } as const;
      const seen: string[] = [];
      const loops: Promise<void>[] = [];
      const startLoops = (consumer: Consumer) => {
        // One for each queue, so that each has a batch in flight almost all the time.
        for (let i = 0; i < queues; i++) {
          loops.push(t.background(async () => {
            for await (const batch of consumer) {
              const { signal } = batch;
              await work(150);
              assert(!signal.aborted, "a batch was taken away while it was worked on");
              seen.push(...[...batch].map(textOf));
            }
          }));
        }
      };
      const [a, b] = [await t.connect(), await t.connect()];
      const first = await a.consumer(options);
      startLoops(first);
      let sent = 0;
      let enough = false;
      const sending = t.background(async () => {
        while (!enough) {
          await t.broker.publish(topic, texts(16, "m", sent));
          sent += 16;
          await work(100);
        }
      });
      await waitUntil(() => seen.length >= 48, { what: "some messages" });
      const second = await b.consumer(options);
      startLoops(second);
      await untilSettled([{ mq: a, consumer: first }, { mq: b, consumer: second }], topic, queues);
      await waitUntil(() => second.stats().settled >= 16, { what: "the second member works" });
      await first.close();
      await untilSettled([{ mq: b, consumer: second }], topic, queues);
      enough = true;
      await sending;
      await waitUntil(() => seen.length >= sent, { what: () => `${sent} messages, got ${seen.length}` });
      await second.close();
      await Promise.all(loops);
      assertEquals(seen.toSorted(), texts(sent).sort());
    },
  },
  {
    name: "a late ack after a handover has no effect, and its batch's signal has aborted",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "first", autoAck: false, batchSize: 5 } as const;
      await t.broker.publish(topic, texts(10));
      const [a, b] = [await t.connect(), await t.connect()];
      const first = await a.consumer(options);
      const batches = first.batches();
      const held: MessageBatch[] = [await nextBatch(batches), await nextBatch(batches)];
      const signals = held.map(({ signal }) => signal);
      const second = await b.consumer(options);
      await waitUntil(() => signals.some(({ aborted }) => aborted), { what: "a signal" });
      await untilSettled([{ mq: a, consumer: first }, { mq: b, consumer: second }], topic, 2);
      const kept = first.assignment().find((queue) => queue.topic === topic)!.queueId;
      const lost = 1 - kept;
      assertEquals(
        held.map(({ queue, signal }) => [queue.queueId, signal.aborted]).sort(),
        [
          [kept, false],
          [lost, true],
        ].sort(),
      );
      const late = held.find(({ signal }) => signal.aborted)!;
      await late.ack(late.messages[0]);
      await late.retry(late.messages[1]!, { delayLevel: 1 });
      await late.deadLetter(late.messages[2]);
      for (const batch of held) await batch.ack();
      assertEquals([first.stats().settled, first.stats().retried], [5, 0]);
      await first.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: kept }), 5);
      assertEquals(await t.broker.maxOffset({ topic: retryTopic(group), queueId: 0 }), 0);
      const again = await nextBatch(second.batches());
      assertEquals([again.queue.queueId, again.length], [lost, 5]);
      await first.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: lost }), 0);
      await again.ack(again.messages[0]);
      await second.commit();
      assertEquals(await t.broker.committed(group, { topic, queueId: lost }), 1);
      await again.ack();
    },
  },
  {
    name: "a member that is cut off loses its queues to the others, who get what it had in flight",
    async run(t: Scene) {
      const topic = await t.topic(4);
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "first", batchSize: 5, closeTimeout: 0 } as const;
      const a = await t.client();
      const b = await t.client();
      const first = await a.mq.consumer(options);
      const second = await b.mq.consumer(options);
      await untilSettled([{ mq: a.mq, consumer: first }, { mq: b.mq, consumer: second }], topic, 4);
      await t.broker.publish(topic, texts(40));
      const inFlight = await nextBatch(first.batches());
      a.transport.cut();
      await untilSettled([{ mq: b.mq, consumer: second }], topic, 4);
      const seen = await take(second, 40);
      assertEquals(sortedTexts(seen), texts(40).sort());
      assert([...inFlight].every((message) => seen.some(({ messageId }) => messageId === message.messageId)));
    },
  },
  {
    name: "a member that was cut off for a moment is a member again, and nothing is lost",
    async run(t: Scene) {
      const topic = await t.topic(4);
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "first" } as const;
      const a = await t.client();
      const b = await t.client();
      const members = [
        { mq: a.mq, consumer: await a.mq.consumer(options) },
        { mq: b.mq, consumer: await b.mq.consumer(options) },
      ];
      const seen = new Set<string>();
      const loops = members.map(({ consumer }) =>
        t.background(async () => {
          for await (const batch of consumer) for (const message of batch) seen.add(message.text());
        })
      );
      await untilSettled(members, topic, 4);
      await t.broker.publish(topic, texts(40));
      a.transport.cut();
      await waitUntil(async () => (await t.broker.consumerList(group)).length === 1, { what: "the broker misses it" });
      await t.broker.publish(topic, texts(40, "m", 40));
      a.transport.heal();
      await waitUntil(async () => (await t.broker.consumerList(group)).length === 2, { what: "both are members" });
      await untilSettled(members, topic, 4);
      await t.broker.publish(topic, texts(40, "m", 80));
      await waitUntil(() => seen.size === 120, { what: () => `120 messages, got ${seen.size}` });
      for (const { consumer } of members) await consumer.close();
      await Promise.all(loops);
    },
  },
  {
    name: "a client joins a group once",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const mq = await t.connect();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const error = await assertRejects(() => mq.consumer({ group, topics: topic }), ConsumerStartError);
      assertEquals(error.code, "GROUP_IN_USE");
      await t.broker.publish(topic, ["works"]);
      assertEquals((await take(consumer, 1)).map(textOf), ["works"]);
    },
  },
  {
    name: "a retried message may come to any member",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const options = { group, topics: topic, consumeFrom: "first" } as const;
      const members: Member[] = [];
      for (let i = 0; i < 2; i++) {
        const mq = await t.connect();
        members.push({ mq, consumer: await mq.consumer(options) });
      }
      await untilSettled(members, topic, 2);
      const seen: string[] = [];
      const stop = new AbortController();
      const loops = members.map(({ consumer }) =>
        t.background(async () => {
          for await (const batch of consumer.batches({ signal: stop.signal })) {
            for (const message of batch) seen.push(`${message.text()}.${message.reconsumeTimes}`);
            if (batch.queue.topic === topic) await batch.retry({ delayLevel: 1 });
          }
        })
      );
      await t.broker.publish(topic, texts(10));
      await waitUntil(() => seen.length === 20, { what: () => `20 messages, got ${seen}` });
      assertEquals(seen.toSorted(), texts(10).flatMap((text) => [`${text}.0`, `${text}.1`]).sort());
      stop.abort();
      await Promise.all(loops);
    },
  },
];
