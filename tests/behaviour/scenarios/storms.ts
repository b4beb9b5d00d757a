/** Notices and resets, a hundred or two a second: members join, consume and close all the same, and ask little. */

import { assertLess, assertLessOrEqual } from "@std/assert";
import { defaultTransport } from "../../../src/transport/default.ts";
import { heartbeat, resetGroupOffset, unregisterClient } from "../../../src/wire/requests.ts";
import { type Scenario, type Scene, texts, waitUntil, within, work } from "../harness.ts";
import { memberOf, RawPeer } from "../raw_peer.ts";
import { receive } from "../received.ts";

/** Between two blows of a storm, in milliseconds. */
const PAUSE = 8;
/** How long a join and a close may take, in milliseconds: a second each, with room for a slow machine. */
const LATEST = 5_000;
/** How many requests of a kind a member may make in a second of a storm: notices are paced to five, twice that is room. */
const PER_SECOND = 10;

/** Does something again and again, until it is stopped. */
function storm(t: Scene, blow: () => Promise<unknown>): { readonly blows: number; stop(): Promise<void> } {
  let blows = 0;
  let isOver = false;
  const raging = t.background(async () => {
    for (; !isOver; blows++) {
      await blow();
      await work(PAUSE);
    }
  });
  const stop = async () => {
    isOver = true;
    await raging;
  };
  t.finally(stop);
  return {
    get blows() {
      return blows;
    },
    stop,
  };
}

/** A member that comes and goes: two notices to all others each time. */
async function restless(t: Scene, group: string) {
  const peer = new RawPeer(await defaultTransport(), t.broker.address);
  t.finally(() => peer.close());
  const clientID = t.name("restless");
  return storm(t, async () => {
    await peer.askWell(heartbeat, {}, memberOf(group, clientID));
    await peer.askWell(unregisterClient, { clientID, consumerGroup: group });
  });
}

/** Counts requests about a group; 0 where there is no way to. */
function counted(t: Scene, request: string, group: string): () => number {
  let count = 0;
  const note = ({ fields }: { fields: Readonly<Record<string, string>> }) => {
    if (fields["consumerGroup"] === group) count++;
    return false;
  };
  const fault = t.broker.faults?.answer(request, "drop", { times: Infinity, match: note });
  t.finally(() => fault?.remove());
  return () => count;
}

async function inTime<T>(what: string, work: () => Promise<T>): Promise<T> {
  const since = performance.now();
  const value = await within(work(), what);
  assertLess(performance.now() - since, LATEST, what);
  return value;
}

export const scenarios: Scenario[] = [
  {
    name: "storms: members join, consume and close while another one comes and goes all the time, and ask little",
    async run(t: Scene) {
      const topic = await t.topic(4);
      const group = t.group();
      const lists = counted(t, "GetConsumerList", group);
      const notices = await restless(t, group);
      const since = performance.now();
      const options = { group, topics: topic, consumeFrom: "first" } as const;
      const [first, second] = [await t.connect(), await t.connect()];
      const one = await inTime("the first join", () => first.consumer(options));
      const other = await inTime("the second join", () => second.consumer(options));
      const [byOne, byOther] = [receive(t, one), receive(t, other)];
      await t.broker.publish(topic, texts(40));
      await waitUntil(() => notices.blows >= 100, { what: "a hundred members that came and went" });
      const seconds = (performance.now() - since) / 1_000;
      const allowed = 2 * PER_SECOND * (1 + seconds);
      assertLessOrEqual(lists(), allowed, `requests for the members in ${seconds} s`);
      await inTime("the first close()", () => one.close());
      await notices.stop();
      await waitUntil(() => new Set([...byOne.seen, ...byOther.seen]).size === 40, {
        what: () => `all messages, there are ${new Set([...byOne.seen, ...byOther.seen]).size}`,
        timeout: 30_000,
      });
      const more = await restless(t, group);
      await waitUntil(() => more.blows >= 20, { what: "twenty more" });
      await inTime("the second close()", () => other.close());
      await more.stop();
    },
  },
  {
    name: "storms: POP workers join, consume and close while another one comes and goes all the time",
    on: ({ line }) => line === 5,
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const notices = await restless(t, group);
      const assignments = counted(t, "QueryAssignment", group);
      const mq = await t.connect();
      const since = performance.now();
      const consumer = await inTime("the join", () => mq.popConsumer({ group, topics: topic, consumeFrom: "first" }));
      const received = receive(t, consumer);
      await t.broker.publish(topic, texts(20));
      await received.until(texts(20));
      await waitUntil(() => notices.blows >= 50, { what: "fifty members that came and went" });
      const seconds = (performance.now() - since) / 1_000;
      assertLessOrEqual(assignments(), PER_SECOND * (1 + seconds), `requests for the queues in ${seconds} s`);
      await inTime("close()", () => consumer.close());
      await notices.stop();
    },
  },
  {
    name: "storms: an operator's resets, a hundred a second: a member joins and closes, asks little, and loses nothing",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const [commits, pulls] = ["UpdateConsumerOffset", "PullMessage"].map((name) => counted(t, name, group));
      await t.broker.publish(topic, texts(20, "old"));
      const client = await t.client();
      const options = { group, topics: topic, consumeFrom: "first", pullHold: 1_000 } as const;
      const consumer = await client.mq.consumer(options);
      const received = receive(t, consumer);
      await received.until(texts(20, "old"));
      await consumer.commit(); // 4.9 resets what has an offset
      const since = performance.now();
      const header = { topic, group, timestamp: 0, isForce: true };
      const resets = storm(t, () => t.broker.raw.ask(resetGroupOffset, header)); // 4.9 refuses once nobody is there
      const next = await t.client();
      const other = await inTime("the join", () => next.mq.consumer(options));
      const byOther = receive(t, other);
      await t.broker.publish(topic, texts(20, "new"));
      await waitUntil(() => resets.blows >= 150, { what: "150 resets" });
      const seconds = (performance.now() - since) / 1_000;
      // Each queue begins anew five times a second at most, and each time asks and stores a few times.
      const allowed = 2 * 3 * PER_SECOND * (1 + seconds);
      assertLessOrEqual(commits!(), allowed, `commits in ${seconds} s`);
      assertLessOrEqual(pulls!(), allowed, `pulls in ${seconds} s`);
      await inTime("close() of one", () => consumer.close());
      await resets.stop();
      const seen = () => new Set([...received.seen, ...byOther.seen]);
      await waitUntil(() => seen().size === 40, { what: () => `all messages, got ${seen().size}`, timeout: 30_000 });
      await inTime("close() of the other", () => other.close());
      const told = client.events.filter(({ type }) => type === "offsetReset").length;
      assertLessOrEqual(told, allowed, `events in ${seconds} s`);
    },
  },
];
