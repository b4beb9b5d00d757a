import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { ConfigError, NetworkError, ValidationError } from "../../src/errors.ts";
import { EmbeddedBroker, type EmbeddedBrokerOptions } from "../../src/embedded/mod.ts";
import { defaultTransport } from "../../src/transport/default.ts";
import { parseAddress, type Socket } from "../../src/transport/transport.ts";
import { encodeBinaryFrame, encodeFrame, FrameReader } from "../../src/wire/frame.ts";
import { getMaxOffset, lockQueues } from "../../src/wire/requests.ts";
import { jsonOf, Peer, subscription } from "./peer.ts";

const topics = { orders: { queues: 1 } };

Deno.test("start() names every option that is not allowed", async () => {
  const bad: [EmbeddedBrokerOptions, string][] = [
    [{ port: 70_000 }, "port"],
    [{ host: "localhost" }, "host"],
    [{ topics: { "or ders": {} } }, "topics.or ders"],
    [{ topics: { orders: { queues: 0 } } }, "topics.orders.queues"],
    [{ topics: { orders: { queue: 1 } as object } }, "topics.orders.queue"],
    [{ delayLevels: [] }, "delayLevels"],
    [{ delayLevels: [-1] }, "delayLevels"],
    [{ maxPullMessages: 0 }, "maxPullMessages"],
    [{ maxMessages: 0.5 }, "maxMessages"],
    [{ offsetPersistInterval: -1 }, "offsetPersistInterval"],
    [{ brokerName: "" }, "brokerName"],
    [{ dialect: "3.x" as "5.x" }, "dialect"],
    [{ autoCreateTopic: true } as EmbeddedBrokerOptions, "autoCreateTopic"],
  ];
  for (const [options, field] of bad) {
    const error = await assertRejects(() => EmbeddedBroker.start(options), ConfigError);
    assertEquals(error.problems.map((problem) => problem.field), [field]);
  }
});

Deno.test("start() fails if the port is taken", async () => {
  await using broker = await EmbeddedBroker.start();
  const { port } = parseAddress(broker.nameServer)!;

  const error = await assertRejects(() => EmbeddedBroker.start({ port }), NetworkError);
  assertEquals(error.code, "CONNECT_FAILED");
});

Deno.test("createTopic() checks the name and the options", async () => {
  await using broker = await EmbeddedBroker.start();

  assertThrows(() => broker.createTopic("or ders"), ValidationError, "or ders");
  assertThrows(() => broker.createTopic("orders", { queues: 2_000 }), ValidationError, "queues");
  broker.createTopic("orders");
  assertEquals(broker.topicStats("orders").length, 4);
});

Deno.test("close() leaves nothing open, and may be called twice", async () => {
  const broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await peer.join("billing", [subscription("orders")]);
  const held = peer.pull({ topic: "orders", sysFlag: 6 });
  await peer.ask(getMaxOffset, { topic: "orders", queueId: 0 });

  await broker.close();
  await broker.close();

  await assertRejects(() => held, NetworkError);
  await assertRejects(() => Peer.connect(broker));
});

Deno.test("kill() closes all connections, keeps messages, loses members and locks; revive() opens the same port", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  const { nameServer } = broker;
  const mqSet = [{ topic: "orders", brokerName: "broker-a", queueId: 0 }];
  const lock = async (peer: Peer, clientId: string) =>
    jsonOf(await peer.ask(lockQueues, {}, { body: { consumerGroup: "billing", clientId, mqSet } }));
  await using first = await Peer.connect(broker);
  await first.join("billing", [subscription("orders")]);
  await first.send({ topic: "orders" });
  await lock(first, "one");

  await broker.kill();
  await first.connection.closed;
  assertEquals([broker.connections, broker.members("billing")], [0, []]);
  await assertRejects(() => Peer.connect(broker));
  await broker.revive();
  await broker.revive();

  assertEquals(broker.nameServer, nameServer);
  await using second = await Peer.connect(broker);
  assertEquals((await second.messages({ topic: "orders" })).length, 1);
  assertEquals(await lock(second, "two"), { lockOKMQSet: mqSet });
});

Deno.test("kill() loses the offsets since the last persist, stop() does not", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start({ topics, offsetPersistInterval: 5_000 });
  const commit = async (offset: number) => {
    await using peer = await Peer.connect(broker);
    await peer.join("billing", [subscription("orders")]);
    await peer.commit("billing", "orders", offset);
  };
  const committed = () => broker.committed("billing", "orders");

  await commit(1);
  time.tick(5_000);
  await commit(2);
  time.tick(4_999);
  await commit(3);
  assertEquals(committed(), 3);
  await broker.kill();
  assertEquals(committed(), 1);
  await broker.revive();

  time.tick(10_000);
  await commit(4);
  time.tick(10_000);
  await broker.kill();
  assertEquals(committed(), 4);
  await broker.revive();

  await commit(5);
  await broker.restart();
  await broker.kill();
  assertEquals(committed(), 5);
});

Deno.test("offsets are durable at once with a persist interval of 0", async () => {
  await using broker = await EmbeddedBroker.start({ topics, offsetPersistInterval: 0 });
  await using peer = await Peer.connect(broker);
  await peer.join("billing", [subscription("orders")]);
  await peer.commit("billing", "orders", 9);

  await broker.kill();

  assertEquals(broker.committed("billing", "orders"), 9);
});

Deno.test("a malformed frame harms its own connection only", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const bad = [
    Uint8Array.of(0x7f, 0, 0, 0),
    Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 9),
    Uint8Array.of(0, 0, 0, 6, 0, 0, 0, 2, 0x7b, 0x5d),
    Uint8Array.of(0, 0, 0, 4, 9, 0, 0, 0),
    new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
  ];
  for (const bytes of bad) {
    const socket = await openSocket(broker);
    const ended = socket.receive(() => {});
    await socket.write(bytes);
    await ended.catch(() => {});
    socket.close();
  }

  assertEquals((await peer.send({ topic: "orders" })).code, 0);
  assertEquals(broker.connections, 1);
});

Deno.test("requests with binary headers are handled, and oneway requests get no answer", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  const socket = await openSocket(broker);
  const frames: Uint8Array[] = [];
  let arrived!: () => void;
  const answered = new Promise<void>((resolve) => arrived = resolve);
  const reader = new FrameReader((frame) => {
    frames.push(frame);
    arrived();
  });
  const ended = socket.receive((bytes) => reader.push(bytes));
  const fields = { topic: "orders", queueId: "0" };

  await socket.write(encodeFrame({ code: getMaxOffset.code, opaque: 1, flag: 2, fields }));
  await socket.write(encodeBinaryFrame({ code: getMaxOffset.code, opaque: 2, fields }));
  await answered;
  socket.close();
  await ended.catch(() => {});

  assertEquals(frames.length, 1);
  const header = JSON.parse(new TextDecoder().decode(frames[0]!.subarray(8)));
  assertEquals([header.opaque, header.code, header.flag, header.extFields], [2, 0, 1, { offset: "0" }]);
  assert(header.version === 479);
});

async function openSocket(broker: EmbeddedBroker): Promise<Socket> {
  const { host, port } = parseAddress(broker.nameServer)!;
  return await (await defaultTransport()).connect(host, port, { signal: new AbortController().signal });
}
