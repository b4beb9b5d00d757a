/** Connecting, options, and what `status()` tells. */

import { assert, assertEquals, assertInstanceOf, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import {
  ConfigError,
  connect,
  type ConnectOptions,
  ConsumerStartError,
  InvalidSelectorError,
  NameServerError,
  RebalanceError,
  ResponseError,
  RocketMQError,
} from "../../../mod.ts";
import { defaultTransport } from "../../../src/transport/default.ts";
import type { Socket } from "../../../src/transport/transport.ts";
import { fromJavaScript } from "../../untyped.ts";
import { type Scenario, type Scene, take, texts, waitUntil } from "../harness.ts";

/** Opens a port of something that is no name server. */
async function otherServer(t: Scene, onSocket: (socket: Socket) => void): Promise<string> {
  const transport = await defaultTransport();
  const sockets: Socket[] = [];
  const listener = await transport.listen("127.0.0.1", 0, (socket) => {
    sockets.push(socket);
    onSocket(socket);
  });
  t.finally(async () => {
    for (const socket of sockets) socket.close();
    await listener.close();
  });
  return `127.0.0.1:${listener.port}`;
}

/** A connect that has to fail, and how long it took. */
async function failToConnect(options: ConnectOptions): Promise<{ error: NameServerError; took: number }> {
  const started = performance.now();
  const error = await assertRejects(() => connect({ logger: false, ...options }), NameServerError);
  return { error, took: performance.now() - started };
}

/** The fields that a ConfigError names. */
async function badFields(work: () => Promise<unknown>): Promise<string[]> {
  const error = await assertRejects(work, ConfigError);
  assertEquals(error.code, "INVALID_OPTIONS");
  for (const { field, allowed, problem = allowed } of error.problems) {
    assertStringIncludes(error.message, field);
    assertStringIncludes(error.message, problem);
  }
  return error.problems.map(({ field }) => field).sort();
}

export const scenarios: Scenario[] = [
  {
    name: "connect() fails with a NameServerError within startTimeout where nobody listens",
    async run(t: Scene) {
      const transport = await defaultTransport();
      const listener = await transport.listen("127.0.0.1", 0, () => {});
      const address = `127.0.0.1:${listener.port}`;
      await listener.close();
      const { error, took } = await failToConnect({ nameServers: address, startTimeout: 400 });
      assertEquals([error.code, error.retriable], ["NAME_SERVER_UNREACHABLE", true]);
      assertStringIncludes(error.message, address);
      assert(took > 200 && took < 2_500, `it took ${Math.round(took)} ms`);
      assert(t.broker.nameServer !== address);
    },
  },
  {
    name: "connect() fails with a NameServerError within startTimeout where somebody listens and says nothing",
    async run(t: Scene) {
      const address = await otherServer(t, (socket) => void socket.receive(() => {}).catch(() => {}));
      const { error, took } = await failToConnect({ nameServers: address, startTimeout: 500 });
      assertEquals(error.code, "NAME_SERVER_UNREACHABLE");
      assertLess(took, 2_500);
    },
  },
  {
    name: "connect() fails at once where a web server answers",
    async run(t: Scene) {
      const answer = new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
      const address = await otherServer(t, (socket) => {
        const done = socket.receive(() => {
          socket.write(answer).then(() => socket.close(), () => {});
        });
        done.catch(() => {});
      });
      const { error, took } = await failToConnect({ nameServers: address });
      assertEquals([error.code, error.retriable], ["NOT_A_NAME_SERVER", false]);
      assertStringIncludes(error.message, address);
      assertLess(took, 1_500);
    },
  },
  {
    name: "connect() fails at once on a broker's own port",
    on: ({ address, nameServer }) => address !== nameServer,
    async run(t: Scene) {
      const { error, took } = await failToConnect({ nameServers: t.broker.address });
      assertEquals(error.code, "NOT_A_NAME_SERVER");
      assertStringIncludes(error.message, t.broker.address);
      assertLess(took, 1_500);
    },
  },
  {
    name: "connect() finds the name server that is there among some that are not",
    async run(t: Scene) {
      const silent = await otherServer(t, (socket) => void socket.receive(() => {}).catch(() => {}));
      const gone = "127.0.0.1:1";
      for (const nameServers of [[gone, t.broker.nameServer], `${gone};${t.broker.nameServer}; ${gone}`]) {
        const mq = await t.connect({ nameServers });
        await mq.close();
      }
      const mq = await t.connect({ nameServers: [silent, t.broker.nameServer], requestTimeout: 1_000 });
      const topic = await t.topic(1);
      await t.broker.publish(topic, texts(3));
      const consumer = await mq.consumer({ group: t.group(), topics: topic, consumeFrom: "first" });
      await take(consumer, 3);
    },
  },
  {
    name: "connect() gives up when its signal aborts",
    async run(t: Scene) {
      const address = await otherServer(t, (socket) => void socket.receive(() => {}).catch(() => {}));
      const give = new AbortController();
      const connecting = connect({ nameServers: address, signal: give.signal, logger: false });
      give.abort(new RangeError("enough"));
      await assertRejects(() => connecting, RangeError);
    },
  },
  {
    name: "connect() names every bad option in one ConfigError",
    async run() {
      const options = {
        nameServers: "no port",
        startTimeout: -1,
        requestTimeout: 99,
        heartbeatInterval: 999,
        routeInterval: "often",
        retries: 3,
      };
      const fields = ["heartbeatInterval", "nameServers", "requestTimeout", "retries", "routeInterval", "startTimeout"];
      assertEquals(await badFields(() => connect(fromJavaScript(options))), fields);
      for (const nameServers of ["", [], ["a:1", "b"], "host:99999"]) {
        assertEquals(await badFields(() => connect({ nameServers })), ["nameServers"]);
      }
    },
  },
  {
    name: "consumer() names every bad option in one ConfigError, and leaves nothing behind",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      const bad: Record<string, unknown> = {
        group: "spaces are bad",
        topics: {},
        consumeFrom: "yesterday",
        missingTopic: "ignore",
        allocation: 3,
        autoAck: "yes",
        batchSize: 0,
        pullBatchSize: 1_025,
        pullBatchBytes: 1,
        pullHold: 999,
        pullInterval: 65_536,
        maxBufferedPerQueue: 0,
        maxBufferedBytesPerQueue: 1,
        maxBufferedMessages: 10_000_001,
        maxBufferedBytes: 1,
        maxSpan: 0,
        maxReconsumeTimes: -1,
        suspendQueue: 9,
        consumeTimeout: 999,
        rebalanceInterval: 60_001,
        persistInterval: 99,
        closeTimeout: -1,
        threads: 20,
      };
      const fields = await badFields(() => mq.consumer(fromJavaScript(bad)));
      assertEquals(fields, Object.keys(bad).sort());
      const group = t.group();
      for (const [field, value] of Object.entries(bad)) {
        const options = { group, topics: topic, [field]: value };
        assertEquals(await badFields(() => mq.consumer(fromJavaScript(options))), [field]);
      }
      assertEquals(await t.broker.consumerList(group), []);
    },
  },
  {
    name: "consumer() fails in time, and leaves nothing behind, where the cluster is away",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const { mq, transport } = await t.client({ requestTimeout: 1_000, startTimeout: 1_000 });
      transport.cut();
      const started = performance.now();
      const error = await assertRejects(() => mq.consumer({ group, topics: topic }));
      assertInstanceOf(error, RocketMQError);
      assertEquals(error.retriable, true);
      assertLess(performance.now() - started, 3_000);
      transport.heal();
      await t.broker.publish(topic, ["works"]);
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      await take(consumer, 1);
    },
  },
  {
    name: "consumer() fails with a ConsumerStartError within startTimeout where the group cannot be joined",
    on: ({ faults }) => faults !== undefined,
    async run(t: Scene) {
      const topic = await t.topic(1);
      const group = t.group();
      const mq = await t.connect({ startTimeout: 500 });
      const match = ({ fields }: { fields: Readonly<Record<string, string>> }) => fields.consumerGroup === group;
      const refusal = { code: 1, remark: "no" };
      const fault = t.broker.faults!.answer("GetConsumerList", refusal, { times: Infinity, match });
      t.finally(() => fault.remove());
      const started = performance.now();
      const error = await assertRejects(() => mq.consumer({ group, topics: topic }), ConsumerStartError);
      assertInstanceOf(error.cause, RebalanceError);
      assertInstanceOf(error.cause.cause, ResponseError);
      assertStringIncludes(error.message, group);
      const took = performance.now() - started;
      assert(took > 400 && took < 3_000, `it took ${Math.round(took)} ms`);
      fault.remove();
      assertEquals(await t.broker.consumerList(group), []);
      await (await mq.consumer({ group, topics: topic })).close();
    },
  },
  {
    name: "consumer() refuses names that brokers would refuse",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      for (const group of ["", "a b", "é", "a/b", "x".repeat(256), "DEFAULT_CONSUMER"]) {
        assertEquals(await badFields(() => mq.consumer({ group, topics: topic })), ["group"], group);
      }
      for (const name of ["", "a b", "é", "x".repeat(128)]) {
        assertEquals(await badFields(() => mq.consumer({ group: t.group(), topics: [topic, name] })), ["topics"], name);
      }
    },
  },
  {
    name: "consumer() refuses a tag expression that looks like SQL",
    async run(t: Scene) {
      const topic = await t.topic(1);
      const mq = await t.connect();
      const group = t.group();
      for (const expression of ["price > 10", "region = 'eu'", "a IS NOT NULL", "TAGS in ('a')", "a || b = 3"]) {
        const error = await assertRejects(() => mq.consumer({ group, topics: { [topic]: expression } }));
        assertInstanceOf(error, InvalidSelectorError, expression);
        assertEquals([error.selector, error.code], [expression, "INVALID_SELECTOR"]);
        assertStringIncludes(error.message, "SQL");
      }
      assertEquals(await t.broker.consumerList(group), []);
    },
  },
  {
    name: "status() tells of connections and queues, from the call on, to every reader",
    async run(t: Scene) {
      const topic = await t.topic(2);
      const group = t.group();
      const { mq, transport, events, untilEvent } = await t.client();
      const late = mq.status();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const gained = await untilEvent("rebalanced", (event) => event.group === group);
      assertStringIncludes(gained.text, group);
      const connected = await untilEvent("connected");
      assertEquals([connected.broker, connected.level], [t.broker.address, "info"]);
      assert(Math.abs(Date.now() - connected.at.getTime()) < 10_000);
      const count = events.length;
      transport.cut();
      const lost = await untilEvent("disconnected", (event) => event.broker === t.broker.address);
      assertEquals(lost.level, "warning");
      assertInstanceOf(lost.error, Error);
      transport.heal();
      await waitUntil(() => events.slice(count).some(({ type, text }) => type === "connected" && /again/.test(text)), {
        what: () => `"connected again" after ${events.slice(count).map(({ type }) => type)}`,
      });
      await t.broker.publish(topic, texts(4));
      assertEquals((await take(consumer, 4)).length, 4);
      const first = await late.next();
      assertEquals(first.value, events[0]);
      await late.return!();
      await mq.close();
      await t.broker.publish(topic, texts(1));
    },
  },
  {
    name: "a client without a reader of status() tells its logger of warnings, each kind once",
    async run(t: Scene) {
      const topic = t.name("missing");
      const said: string[] = [];
      const logger = { warn: (text: string) => said.push(text), error: (text: string) => said.push(text) };
      const mq = await connect({ nameServers: t.broker.nameServer, logger });
      t.finally(() => mq.close());
      const group = t.group();
      for (let i = 0; i < 2; i++) {
        const consumer = await mq.consumer({ group, topics: topic, missingTopic: "wait" });
        await consumer.close();
      }
      assertEquals(said.filter((text) => text.includes("missingTopic")).length, 1);
      assertStringIncludes(said[0] ?? "", topic);
    },
  },
];
