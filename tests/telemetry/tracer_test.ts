import { assert, assertEquals } from "@std/assert";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { EmbeddedBroker, type EmbeddedBrokerOptions } from "../../src/embedded/mod.ts";
import { EventHub, type StatusEvent } from "../../src/events.ts";
import { statusEvent } from "../../src/status_event.ts";
import { TraceContextCode } from "../../src/telemetry/trace_records.ts";
import { type TraceableMessage, Tracer, type TracerOptions } from "../../src/telemetry/tracer.ts";
import { TRACE_TOPIC } from "../../src/wire/codes.ts";
import type { StoredMessage } from "../../src/wire/stored_message.ts";
import { connectTo, messagesIn } from "../producer/setup.ts";
import { eventually } from "../transport/waiting.ts";

/** A hub whose events are kept. */
class KeptEvents extends EventHub {
  readonly kept: StatusEvent[] = [];

  override emit(level: StatusEvent["level"], type: StatusEvent["type"], text: string, details = {}): void {
    this.kept.push(statusEvent(level, type, text, details));
  }

  get types(): string[] {
    return this.kept.map(({ type }) => type);
  }
}

/** A tracer over an embedded broker with a trace topic. */
interface Setup extends AsyncDisposable {
  readonly broker: EmbeddedBroker;
  readonly cluster: Cluster;
  readonly events: KeptEvents;
  readonly tracer: Tracer;
  /** The messages of the trace topic. */
  stored(): Promise<readonly StoredMessage[]>;
}

/** The topics that are there unless a test says otherwise. */
const TOPICS = { [TRACE_TOPIC]: { queues: 1 }, orders: { queues: 1 } };

async function setUp(
  options: Partial<TracerOptions> = {},
  topics: EmbeddedBrokerOptions["topics"] = TOPICS,
): Promise<Setup> {
  const broker = await EmbeddedBroker.start({ topics: topics!, maxPullBytes: 16_000_000 });
  const client = await connectTo(broker, { routeInterval: 50 });
  const { cluster } = client;
  const events = new KeptEvents(false);
  const tracer = new Tracer({ cluster, group: "billing", events, ...options });
  return {
    broker,
    cluster,
    events,
    tracer,
    stored: () => messagesIn(cluster, { topic: options.topic ?? TRACE_TOPIC, broker: "broker-a", queueId: 0 }),
    async [Symbol.asyncDispose](): Promise<void> {
      broker.faults.clear();
      await tracer.close();
      await client[Symbol.asyncDispose]();
      await broker.close();
    },
  };
}

/** A message as far as a tracer looks at it. */
function message(messageId: string, properties: Record<string, string> = {}, topic = "orders"): TraceableMessage {
  return { topic, messageId, reconsumeTimes: 1, property: (name) => properties[name] };
}

/** The fields of the records of trace messages. */
function records(messages: readonly StoredMessage[]): string[][] {
  return messages.flatMap((each) => each.text().split("\x02").slice(0, -1)).map((record) => record.split("\x01"));
}

Deno.test("Tracer tells in the trace topic what was handed out, and what became of it", async () => {
  await using given = await setUp({ flushInterval: 5 });
  const { broker, cluster, tracer, events } = given;
  await broker.publish("orders", ["a", "b"].map((body) => ({ body, keys: [`key-${body}`, "shared"] })));
  await cluster.routes.get("orders");
  const messages = await messagesIn(cluster, { topic: "orders", broker: "broker-a", queueId: 0 });
  const started = Date.now();

  tracer.after(tracer.before(messages), TraceContextCode.SUCCESS);
  await eventually(() => tracer.totals.sent === 2, "both are sent");

  const [stored, ...more] = await given.stored();
  assert(stored !== undefined && more.length === 0);
  const ids = messages.map(({ messageId }) => messageId);
  const [first, second, ...after] = records([stored]);
  const [, timestamp, , , requestId] = first!;
  assertEquals(first!.toSpliced(1, 1), [
    "SubBefore",
    messages[0]!.property("MSG_REGION") ?? "DefaultRegion",
    "billing",
    requestId!,
    ids[0]!,
    "0",
    "key-a shared",
  ]);
  assert(Number(timestamp) >= started && Number(timestamp) <= Date.now());
  assertEquals([second![4], second![5], second![7]], [requestId, ids[1], "key-b shared"]);
  assertEquals(
    after.map((fields) => fields.toSpliced(7, 1)),
    ["a", "b"].map((body, at) => [
      ...["SubAfter", requestId!, ids[at]!, "0", "true", `key-${body} shared`, "0", "billing"],
    ]),
  );
  assertEquals(stored.keys.toSorted(), [...ids, "key-a", "key-b", "shared"].toSorted());
  assertEquals([stored.property("WAIT"), stored.messageId.length], ["true", 32]);
  assertEquals([tracer.totals, events.kept], [{ sent: 2, dropped: 0 }, []]);
});

Deno.test("Tracer tells which messages of a batch had which outcome", async () => {
  await using given = await setUp();
  const { tracer } = given;
  const messages = ["M1", "M2", "M3"].map((id) => message(id));
  const batch = tracer.before(messages);
  tracer.after(batch, TraceContextCode.SUCCESS, messages.slice(0, 1));
  tracer.after(batch, TraceContextCode.FAILED, messages.slice(1));
  await tracer.close();
  const outcomes = records(await given.stored()).filter(([type]) => type === "SubAfter");
  assertEquals(outcomes.map((fields) => [fields[2], fields[4], fields[6]]), [
    ["M1", "true", "0"],
    ["M2", "false", "4"],
    ["M3", "false", "4"],
  ]);
});

Deno.test("Tracer leaves out the trace topic, and messages with TRACE_ON=false", async () => {
  await using given = await setUp({ topic: "traces" }, { traces: { queues: 1 } });
  const { tracer } = given;
  assertEquals(tracer.before([message("M1", {}, "traces")]), undefined);
  assertEquals(tracer.before([message("M2", { TRACE_ON: "false" })]), undefined);
  assertEquals(tracer.before([]), undefined);
  tracer.after(undefined, TraceContextCode.SUCCESS);
  const off = message("M3", { TRACE_ON: "false" });
  const batch = tracer.before([off, message("M4", { TRACE_ON: "true", MSG_REGION: "east" })]);
  tracer.after(batch, TraceContextCode.SUCCESS, [off]);
  assertEquals(batch?.length, 2);
  await tracer.close();
  assertEquals(records(await given.stored()).map((fields) => [fields[0], fields[2], fields[5]]), [
    ["SubBefore", "east", "M4"],
  ]);
  assertEquals(tracer.totals, { sent: 1, dropped: 0 });
});

Deno.test("Tracer sends 20 contexts at once, and each topic's in a message of its own", async () => {
  await using given = await setUp({ flushInterval: 1_000_000 });
  const { tracer } = given;
  for (let i = 0; i < 30; i++) tracer.before([message(`M${i}`, {}, i % 2 === 0 ? "orders" : "payments")]);
  await eventually(() => tracer.totals.sent === 20, "a full batch is sent");
  const messages = await given.stored();
  assertEquals(messages.map((each) => records([each]).length), [10, 10]);
  await tracer.close();
  assertEquals([records(await given.stored()).length, tracer.totals], [30, { sent: 30, dropped: 0 }]);
});

Deno.test("Tracer divides what is too large for a message", async () => {
  await using given = await setUp();
  const { tracer } = given;
  const many = Array.from({ length: 1_024 }, (_, at) => message(String(at).padStart(32, "0")));
  tracer.after(tracer.before(many), TraceContextCode.SUCCESS);
  await tracer.close();
  const stored = await given.stored();
  assertEquals([records(stored).length, stored.length > 2, tracer.totals], [2_048, true, { sent: 2, dropped: 0 }]);
});

Deno.test("Tracer waits for a trace topic that is missing, and says so once", async () => {
  await using given = await setUp({ flushInterval: 5 }, {});
  const { broker, tracer, events } = given;
  tracer.before([message("M1")]);
  await broker.faults.whenReceived("GetRoute", 3);
  assertEquals([events.types, tracer.totals], [["missingTopic"], { sent: 0, dropped: 0 }]);
  assertEquals([events.kept[0]!.group, events.kept[0]!.topic], ["billing", TRACE_TOPIC]);
  broker.createTopic(TRACE_TOPIC, { queues: 1 });
  await eventually(() => tracer.totals.sent === 1, "it is found");
  assertEquals([records(await given.stored()).length, events.types], [1, ["missingTopic"]]);
});

Deno.test("Tracer drops what finds no room, counts it, and says so once", async () => {
  await using given = await setUp();
  const { broker, tracer, events } = given;
  const stuck = broker.faults.answer("SendMessage", "delay", { times: Infinity });
  for (let i = 0; i < 20; i++) tracer.before([message("M")]);
  await stuck.reached(1);
  for (let i = 0; i < 60 + 2_048 + 5; i++) tracer.before([message("M")]);
  assertEquals([tracer.totals, events.types], [{ sent: 0, dropped: 5 }, ["lost"]]);
  assertEquals(tracer.before([message("M")]), undefined);
  stuck.remove();
  await tracer.close();
  assertEquals([tracer.totals, events.types], [{ sent: 80 + 2_048, dropped: 6 }, ["lost"]]);
});

Deno.test("Tracer loses what brokers refuse three times, says so once, and goes on", async () => {
  await using given = await setUp({ flushInterval: 5 });
  const { broker, tracer, events } = given;
  const refusal = broker.faults.answer("SendMessage", { code: 1, remark: "no" }, { times: 4 });
  const lost = tracer.before([message("M1")]);
  await eventually(() => tracer.totals.dropped === 1, "it is given up");
  tracer.after(lost, TraceContextCode.SUCCESS);
  await eventually(() => tracer.totals.sent === 1, "the next is sent at the second attempt");
  assertEquals([refusal.hits, tracer.totals, events.types], [4, { sent: 1, dropped: 1 }, ["lost"]]);
  assertEquals(records(await given.stored()).map(([type]) => type), ["SubAfter"]);
});

Deno.test("Tracer takes an answer that tells of a slow replica for stored", async () => {
  await using given = await setUp();
  const { broker, tracer, events } = given;
  const fields = { msgId: "M", queueId: "0", queueOffset: "0" };
  const slow = broker.faults.answer("SendMessage", { code: 12, fields }, { times: Infinity });
  tracer.before([message("M1")]);
  await tracer.close();
  assertEquals([slow.hits, tracer.totals, events.kept], [1, { sent: 1, dropped: 0 }, []]);
});

Deno.test("Tracer.close() gives up what is not sent in time, and takes nothing more", async () => {
  await using given = await setUp({ closeTimeout: 5 });
  const { broker, tracer, events } = given;
  broker.faults.answer("SendMessage", "drop", { times: Infinity });
  for (let i = 0; i < 100; i++) tracer.before([message("M")]);
  await Promise.all([tracer.close(), tracer.close()]);
  await eventually(() => tracer.totals.dropped === 100, "all are given up");
  assertEquals(tracer.before([message("M")]), undefined);
  assertEquals([tracer.totals, events.types], [{ sent: 0, dropped: 100 }, ["lost"]]);
});

Deno.test("Tracer.close() does not wait for a trace topic that is missing", async () => {
  await using given = await setUp({}, {});
  const { tracer, events } = given;
  tracer.before([message("M")]);
  await tracer.close();
  assertEquals([tracer.totals, events.types], [{ sent: 0, dropped: 1 }, ["missingTopic", "lost"]]);
});

Deno.test("Tracer outlives a broker that is away for longer than its sends may take", async () => {
  await using given = await setUp({ flushInterval: 5, sendTimeout: 200 });
  const { broker, tracer, events } = given;
  tracer.before([message("M1")]);
  await eventually(() => tracer.totals.sent === 1, "the first is sent");
  await broker.kill();
  tracer.before([message("M2")]);
  await eventually(() => tracer.totals.dropped === 1, "the second is lost");
  assertEquals(events.types, ["lost"]);
  await broker.revive();
  tracer.before([message("M3")]);
  await eventually(() => tracer.totals.sent === 2, "the third is sent");
});
