/** Several brokers and name servers, one of which is killed, moved or paused: the others go on, and nothing is lost. */

import { assertEquals } from "@std/assert";
import {
  type Scenario,
  type Scene,
  take,
  type TestCluster,
  type TestMember,
  textOf,
  texts,
  waitUntil,
} from "../harness.ts";
import { receive } from "../received.ts";

export type ClusterScene = Scene<TestCluster>;

/** The queues of each broker in these scenarios. */
export const QUEUES = 2;
/** How long a client takes here to notice that nothing is answered, in milliseconds. */
export const QUICK = { requestTimeout: 1_000, heartbeatInterval: 1_000, routeInterval: 1_000 };

/** Stores a message in each queue of a broker, each with a text of its own, and gives these. */
export async function publishTo(broker: TestMember, topic: string, what: string): Promise<string[]> {
  const bodies = texts(QUEUES, `${what} ${broker.name} `);
  for (const [queueId, body] of bodies.entries()) await broker.publish(topic, [body], { queueId });
  return bodies;
}

/** A member that has received a message of each of all queues. */
async function settled(t: ClusterScene, group: string) {
  const [a, b] = t.broker.brokers;
  const topic = await t.topic(QUEUES);
  const client = await t.client(QUICK);
  const consumer = await client.mq.consumer({ group, topics: topic, consumeFrom: "first" });
  const received = receive(t, consumer);
  await received.until([...await publishTo(a, topic, "first"), ...await publishTo(b, topic, "first")]);
  return { topic, client, consumer, received };
}

export const scenarios: readonly Scenario<TestCluster>[] = [
  {
    name: "cluster: a broker that is killed stops no queue of the other, and its own go on when it is back",
    alone: true,
    async run(t: ClusterScene) {
      const [a, b] = t.broker.brokers;
      const { topic, client, received } = await settled(t, t.group());
      await b.kill();
      await client.untilEvent("disconnected", ({ broker }) => broker === b.name || broker === b.address);
      await received.until(await publishTo(a, topic, "meanwhile"));
      await b.revive();
      await received.until([...await publishTo(a, topic, "after"), ...await publishTo(b, topic, "after")]);
    },
  },
  {
    name: "cluster: one name server of two that is dead at the connect, and later, stops nobody",
    alone: true,
    async run(t: ClusterScene) {
      const [first, second] = t.broker.names;
      const [a, b] = t.broker.brokers;
      await first.kill();
      t.finally(() => first.revive().catch(() => {})); // it may be there already
      const dead = await t.connect(QUICK);
      const topic = t.name("topic");
      await first.revive();
      await t.broker.createTopic(topic, QUEUES);
      await second.kill();
      t.finally(() => second.revive().catch(() => {}));
      const consumer = await dead.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const all = [...await publishTo(a, topic, "all"), ...await publishTo(b, topic, "all")];
      assertEquals((await take(consumer, all.length)).map(textOf).sort(), all.sort());
      await second.revive();
    },
  },
  {
    name: "cluster: one name server of two that does not answer, at the connect and later, stops nobody",
    alone: true,
    async run(t: ClusterScene) {
      const [first, second] = t.broker.names;
      const [a, b] = t.broker.brokers;
      const topic = await t.topic(QUEUES);
      first.pause();
      t.finally(() => first.resume());
      const mq = await t.connect(QUICK);
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      const received = receive(t, consumer);
      await received.until([...await publishTo(a, topic, "first"), ...await publishTo(b, topic, "first")]);
      await first.resume();
      second.pause();
      t.finally(() => second.resume());
      const producer = await mq.producer();
      const more = texts(4, "sent");
      for (const body of more) await producer.send({ topic, body });
      await received.until(more);
      await second.resume();
    },
  },
  {
    name: "cluster: a broker that moves to another port is found there",
    alone: true,
    on: ({ brokers }) => brokers[1].move !== undefined,
    async run(t: ClusterScene) {
      const [, b] = t.broker.brokers;
      const { topic, received } = await settled(t, t.group());
      const old = b.address;
      await b.move?.();
      assertEquals(b.address === old, false);
      await received.until(await publishTo(b, topic, "moved"));
    },
  },
  {
    name: "cluster: a broker that was stopped and goes on delivers from all its queues, and stops none of the other",
    alone: true,
    timeout: 90_000,
    async run(t: ClusterScene) {
      const [a, b] = t.broker.brokers;
      // No group of the scene: it may have entries of closed connections, which stay for two minutes.
      const group = t.name("group");
      const { topic, client, received } = await settled(t, group);
      const lost = () => client.events.filter(({ type }) => type === "disconnected").length;
      const before = lost();
      b.pause();
      t.finally(() => b.resume());
      await received.until(await publishTo(a, topic, "meanwhile"));
      await waitUntil(() => lost() > before, { what: "the client to notice", timeout: 45_000 });
      await b.resume();
      const resumed = performance.now();
      await received.until([...await publishTo(a, topic, "after"), ...await publishTo(b, topic, "after")]);
      const took = Math.round(performance.now() - resumed);
      const entries = (await b.consumerList(group)).length;
      t.print(`all queues deliver ${took} ms after the pause; the group has ${entries} entries of the one member`);
    },
  },
];
