/** What a client can make an embedded broker keep has bounds. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { EmbeddedBroker, EmbeddedCluster, EmbeddedNameServer } from "../../src/embedded/mod.ts";
import { QueueLocks } from "../../src/embedded/locks.ts";
import { Offsets } from "../../src/embedded/offsets.ts";
import { UnfinishedFrames } from "../../src/embedded/unfinished_frames.ts";
import { Expressions } from "../../src/embedded/sql/expressions.ts";
import { ConfigError } from "../../src/errors.ts";
import { defaultTransport } from "../../src/transport/default.ts";
import { parseAddress } from "../../src/transport/transport.ts";
import { encodeHeader } from "../../src/wire/fields.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { createTopic, lockQueues, pullMessage, unregisterClient } from "../../src/wire/requests.ts";
import { waitUntil } from "../behaviour/harness.ts";
import { jsonOf, Peer, subscription } from "./peer.ts";

const config = {
  defaultTopic: "TBW102",
  readQueueNums: 1,
  writeQueueNums: 1,
  perm: 6,
  topicFilterType: "SINGLE_TAG",
  topicSysFlag: 0,
  order: false,
} as const;

Deno.test("an embedded broker closes a connection that is one too many, and accepts another when one has ended", async () => {
  await using broker = await EmbeddedBroker.start({ maxConnections: 2, topics: { orders: { queues: 1 } } });
  await using first = await Peer.connect(broker);
  const second = await Peer.connect(broker);
  for (const peer of [first, second]) assertEquals((await peer.pull({ topic: "orders" })).code, 19);
  const third = await Peer.connect(broker);
  await third.connection.closed;
  assertEquals(broker.connections, 2);
  second.connection.close();
  await waitUntil(() => broker.connections === 1, { what: "the end of the second connection" });
  await using fourth = await Peer.connect(broker);
  assertEquals((await fourth.pull({ topic: "orders" })).code, 19);
});

Deno.test("an embedded broker closes the connection of a client that does not read its answers", async () => {
  await using broker = await EmbeddedBroker.start({ maxUnreadBytes: 65_536, topics: { orders: { queues: 1 } } });
  await broker.publish("orders", [new Uint8Array(4_000_000)]);
  const [hostname = "", port] = broker.nameServer.split(":");
  using deaf = await Deno.connect({ hostname, port: Number(port) });
  const fields = encodeHeader(pullMessage.header, {
    consumerGroup: "billing",
    topic: "orders",
    queueId: 0,
    queueOffset: 0,
    maxMsgNums: 32,
    sysFlag: 4,
    commitOffset: 0,
    suspendTimeoutMillis: 0,
    subscription: "*",
    subVersion: 0,
  });
  const frame = encodeFrame({ code: pullMessage.code, opaque: 1, fields });
  const writing = (async () => {
    for (;;) await deaf.write(frame);
  })();
  await writing.catch(() => {}); // it fails when the broker closes
  await waitUntil(() => broker.connections === 0, { what: "the end of the connection" });
});

Deno.test("an embedded broker makes no more topics than it may, by requests or by sends", async () => {
  await using broker = await EmbeddedBroker.start({ maxTopics: 2, topics: { orders: { queues: 1 } } });
  await using peer = await Peer.connect(broker);
  assertEquals((await peer.ask(createTopic, { ...config, topic: "payments" })).code, 0);
  const { code, remark = "" } = await peer.ask(createTopic, { ...config, topic: "more" });
  assertEquals([code, remark.includes("maxTopics")], [1, true]);
  assertEquals((await peer.ask(createTopic, { ...config, topic: "orders", readQueueNums: 3 })).code, 0);
  assertEquals((await peer.ask(createTopic, { ...config, topic: "orders", readQueueNums: 65_537 })).code, 29);
  assertEquals((await peer.send({ topic: "more" })).code, 17);
  assertEquals((await peer.send({ topic: "%RETRY%nobody" })).code, 17);
  assertEquals((await peer.send({ topic: "orders" })).code, 0);
  assert(!broker.topics.includes("more"));
});

Deno.test("an embedded broker keeps records of no more groups than it may", async () => {
  await using broker = await EmbeddedBroker.start({ maxGroups: 2, topics: { orders: { queues: 1 } } });
  await using peer = await Peer.connect(broker);
  const pull = async (consumerGroup: string) => (await peer.pull({ topic: "orders", consumerGroup })).code;
  assertEquals([await pull("a"), await pull("b"), await pull("c"), await pull("a")], [19, 19, 26, 19]);
  await peer.join("d", []);
  assertEquals([broker.members("d"), broker.topics.includes("%RETRY%d")], [[], false]);
});

Deno.test("an embedded broker keeps no more producer groups than it may, and has room again when one is empty", async () => {
  await using broker = await EmbeddedBroker.start({ maxGroups: 2 });
  await using peer = await Peer.connect(broker);
  const kept = () => ["a", "b", "c", "bad name"].filter((group) => broker.producers(group).length > 0);
  await peer.joinProducers("one", "bad name", "a", "b", "c");
  assertEquals(kept(), ["a", "b"]);
  await peer.ask(unregisterClient, { clientID: "one", producerGroup: "a" });
  await peer.joinProducers("one", "b", "c");
  assertEquals(kept(), ["b", "c"]);
});

Deno.test("an embedded broker refuses a commit that is one offset too many, and names the option", async () => {
  await using broker = await EmbeddedBroker.start({ maxOffsets: 1, topics: { orders: { queues: 2 } } });
  await using peer = await Peer.connect(broker);
  await peer.join("billing", [subscription("orders")]);
  assertEquals((await peer.commit("billing", "orders", 5, 0)).code, 0);
  const { code, remark = "" } = await peer.commit("billing", "orders", 5, 1);
  assertEquals([code, remark.includes("maxOffsets")], [1, true]);
  assertEquals((await peer.commit("billing", "orders", 6, 0)).code, 0);
  assertEquals(broker.committed("billing", "orders"), 6);
});

Deno.test("an embedded broker grants no more locks than it may", async () => {
  await using broker = await EmbeddedBroker.start({ maxLocks: 1, topics: { orders: { queues: 2 } } });
  await using peer = await Peer.connect(broker);
  const mqSet = [0, 1].map((queueId) => ({ topic: "orders", brokerName: "broker-a", queueId }));
  const answer = await peer.ask(lockQueues, {}, { body: { consumerGroup: "billing", clientId: "one", mqSet } });
  assertEquals(jsonOf(answer), { lockOKMQSet: mqSet.slice(0, 1) });
});

/** Writes the first bytes of a request of a size to a server; the end of the connection, and its close. */
async function unfinished(address: string, size: number): Promise<{ ended: Promise<void>; close: () => void }> {
  const { host, port } = parseAddress(address)!;
  const socket = await (await defaultTransport()).connect(host, port, { signal: new AbortController().signal });
  const ended = socket.receive(() => {}).catch(() => {}).finally(() => socket.close());
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, 16_000_000);
  await socket.write(bytes).catch(() => {}); // the server may have closed it
  return { ended, close: () => socket.close() };
}

Deno.test("an embedded broker closes the largest of too many unfinished requests, and serves the others", async () => {
  await using broker = await EmbeddedBroker.start({ maxUnfinishedBytes: 100_000, topics: { orders: { queues: 1 } } });
  await using peer = await Peer.connect(broker);
  const small = await unfinished(broker.address, 40_000);
  const large = await unfinished(broker.address, 50_000);
  assertEquals((await peer.send({ topic: "orders", body: new Uint8Array(5_000) })).code, 0);
  assertEquals(broker.connections, 3);
  const last = await unfinished(broker.address, 20_000);
  await large.ended;
  await waitUntil(() => broker.connections === 3, { what: "the end of the largest one" });
  assertEquals((await peer.send({ topic: "orders", body: new Uint8Array(30_000) })).code, 0);
  for (const each of [small, large, last]) each.close();
  await Promise.all([small.ended, last.ended]);
  await waitUntil(() => broker.connections === 1, { what: "the end of the others" });
  assertEquals((await peer.send({ topic: "orders", body: new Uint8Array(90_000) })).code, 0);
});

Deno.test("a name server has the limits of its options, in a cluster too", async () => {
  await using names = await EmbeddedNameServer.start({ maxConnections: 1, maxUnfinishedBytes: 65_536 });
  await using cluster = await EmbeddedCluster.start({ brokers: 1, nameServers: 1, maxConnections: 1 });
  for (const { address } of [names, ...cluster.names]) {
    const first = await unfinished(address, 4);
    await (await unfinished(address, 4)).ended;
    first.close();
    await first.ended;
  }
  await waitUntil(() => names.connections === 0, { what: "the end of the connections" });
  const tooLarge = await unfinished(names.address, 70_000);
  await tooLarge.ended;
  await assertRejects(() => EmbeddedNameServer.start({ maxUnreadBytes: 1 }), ConfigError, "maxUnreadBytes");
});

Deno.test("UnfinishedFrames counts incomplete frames only, wherever the bytes are cut", () => {
  const frames = new UnfinishedFrames(1_000);
  const frame = frames.add(() => {});
  const bytes = Uint8Array.of(0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 1, 9);
  for (let size = 1; size <= bytes.length; size++) {
    for (let at = 0; at < bytes.length; at += size) frames.push(frame, bytes.subarray(at, at + size));
    assertEquals(frames.bytes, 0);
  }
  frames.push(frame, bytes.subarray(0, 6));
  assertEquals(frames.bytes, 6);
  frames.remove(frame);
  frames.push(frame, bytes);
  assertEquals(frames.bytes, 0);
});

Deno.test("Offsets keeps no more than it may, makes none by looking, and lets those that it has move", () => {
  const offsets = new Offsets(0, 2);
  for (let i = 0; i < 1_000; i++) assertEquals(offsets.get(`group-${i}`, "orders", i), undefined);
  const commits = [["a", 0], ["a", 1], ["b", 0], ["a", 1]] as const;
  assertEquals(commits.map(([group, queueId]) => offsets.commit(group, "orders", queueId, 5)), [
    true,
    true,
    false,
    true,
  ]);
  offsets.reset("b", "orders", 0, 7);
  assertEquals([offsets.get("b", "orders", 0), offsets.takeReset("b", "orders", 0)], [undefined, undefined]);
  offsets.reset("a", "orders", 0, 7);
  assertEquals([offsets.hasReset("a", "orders", 0), offsets.takeReset("a", "orders", 0)], [true, 7]);
  offsets.revert();
  assertEquals([offsets.get("a", "orders", 0), offsets.commit("b", "orders", 0, 1)], [7, false]);
});

Deno.test("QueueLocks holds no more than it may, and has room again when locks are given up", () => {
  const locks = new QueueLocks(2);
  const queue = (queueId: number) => ({ topic: "orders", brokerName: "b", queueId });
  const held = (group: string, ...ids: number[]) =>
    locks.lock(group, "me", ids.map(queue)).map(({ queueId }) => queueId);
  assertEquals([held("a", 0, 1, 2), held("b", 0), held("a", 1)], [[0, 1], [], [1]]);
  locks.unlock("a", "me", [queue(0)]);
  assertEquals([held("b", 0), held("b", 1)], [[0], []]);
  locks.clear();
  assertEquals(held("c", 5, 6), [5, 6]);
});

/** The least time of a few, in milliseconds: the machine does other things too. */
function least(work: () => void): number {
  return Math.min(...Array.from({ length: 5 }, () => {
    const started = performance.now();
    work();
    return performance.now() - started;
  }));
}

Deno.test("expressions take time in the measure of their length: four times as long is not sixteen times as slow", () => {
  const kinds: Record<string, (length: number) => [expression: string, property: string]> = {
    "signs that begin no comment": (length) => ["x=--1 OR ".repeat(length / 9) + "x=1", "1"],
    "a hexadecimal number that is none": (length) => ["x > 1.5", `0x${"0".repeat(length)}g`],
    "brackets": (length) => ["(x=1) OR ".repeat(length / 9) + "x=1", "2"],
    "a list": (length) => [`x IN ('${"a','".repeat(length / 4)}')`, "b"],
    "blanks and comments": (length) => ["x=1 " + "/**/ ".repeat(length / 5), "1"],
  };
  for (const [kind, make] of Object.entries(kinds)) {
    const timeOf = (length: number) => {
      const [source, property] = make(length);
      return least(() => {
        const expression = new Expressions(true).read(source);
        if (typeof expression === "function") expression(() => property);
      });
    };
    timeOf(1_000);
    // On a busy machine one comparison says little: quadratic time fails all of them.
    const isLinear = () => timeOf(64_000) < 10 * timeOf(16_000) + 20;
    assert([1, 2, 3, 4, 5].some(isLinear), kind);
  }
});
