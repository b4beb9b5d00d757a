import { assert, assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { CallOptions } from "../../src/cluster/call.ts";
import { Membership, type Registrar } from "../../src/cluster/membership.ts";
import type { ConsumerData } from "../../src/wire/bodies.ts";
import { heartbeat, type RequestSpec, unregisterClient } from "../../src/wire/requests.ts";
import { turns, Unheard } from "../transport/waiting.ts";

/** A broker that notes what it is asked. */
class FakeBroker implements Registrar {
  readonly address: string;
  isMaster: boolean;
  readonly version: number;
  readonly asked: { name: string; header: unknown; body: unknown; timeout: number }[] = [];
  fails = false;

  constructor(address: string, isMaster = true, version = 479) {
    this.address = address;
    this.isMaster = isMaster;
    this.version = version;
  }

  call(spec: RequestSpec, header: object, { body, timeout }: CallOptions): Promise<{ version: number }> {
    const json = body === undefined ? undefined : JSON.parse(new TextDecoder().decode(body));
    this.asked.push({ name: spec.name, header: { ...header }, body: json, timeout });
    if (this.fails) return Promise.reject(new RangeError(`${this.address} is down`));
    return Promise.resolve({ version: this.version });
  }

  /** The names of the requests, in order. */
  get names(): string[] {
    return this.asked.map(({ name }) => name);
  }
}

function membershipOf(...brokers: FakeBroker[]): Membership {
  return withFailures([], ...brokers);
}

/** The same, and who did not take a heartbeat. */
function withFailures(failures: [string, unknown][], ...brokers: FakeBroker[]): Membership {
  return new Membership({
    clientId: "10.0.0.1@abc",
    timeout: 3_000,
    onFailed: (broker, error) => failures.push([broker.address, error]),
    brokers: (mastersOnly) => brokers.filter(({ isMaster }) => isMaster || !mastersOnly),
  });
}

function billing(topic = "orders"): ConsumerData {
  return {
    groupName: "billing",
    consumeType: "CONSUME_PASSIVELY",
    messageModel: "CLUSTERING",
    consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
    subscriptionDataSet: [{
      classFilterMode: false,
      topic,
      subString: "paid",
      tagsSet: ["paid"],
      codeSet: [3_433_164],
      subVersion: 1_700_000_000_000,
      expressionType: "TAG",
    }],
    unitMode: false,
  };
}

Deno.test("beat() sends nothing without a group", async () => {
  const broker = new FakeBroker("a:1");
  const membership = membershipOf(broker);
  assertEquals(await membership.beat(), false);
  await membership.beatTo(broker);
  assertEquals([broker.asked, membership.version("a:1")], [[], undefined]);
});

Deno.test("beat() reports to all brokers, slaves too, who is in which group", async () => {
  const brokers = [new FakeBroker("a:1"), new FakeBroker("a:2", false, 407), new FakeBroker("b:1")];
  const membership = membershipOf(...brokers);
  membership.addConsumer("billing", billing);
  membership.addProducer("senders");
  membership.addProducer("others");
  assertEquals(await membership.beat(), true);
  const body = {
    clientID: "10.0.0.1@abc",
    producerDataSet: [{ groupName: "senders" }, { groupName: "others" }],
    consumerDataSet: [{
      groupName: "billing",
      consumeType: "CONSUME_PASSIVELY",
      messageModel: "CLUSTERING",
      consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
      subscriptionDataSet: [{
        classFilterMode: false,
        topic: "orders",
        subString: "paid",
        tagsSet: ["paid"],
        codeSet: [3_433_164],
        subVersion: 1_700_000_000_000,
        expressionType: "TAG",
      }],
      unitMode: false,
    }],
    heartbeatFingerprint: 0,
    withoutSub: false,
  };
  for (const { asked } of brokers) assertEquals(asked, [{ name: heartbeat.name, header: {}, body, timeout: 3_000 }]);
  assertEquals(["a:1", "a:2", "b:1", "c:1"].map((at) => membership.version(at)), [479, 407, 479, undefined]);
});

Deno.test("beat() goes to masters only while there is no consumer", async () => {
  const [master, slave] = [new FakeBroker("a:1"), new FakeBroker("a:2", false)];
  const membership = membershipOf(master, slave);
  membership.addProducer("senders");
  await membership.beat();
  assertEquals([master.asked.length, slave.asked.length], [1, 0]);
  membership.addConsumer("billing", billing);
  await membership.beat();
  assertEquals([master.asked.length, slave.asked.length], [2, 1]);
});

Deno.test("beat() describes each consumer anew", async () => {
  const broker = new FakeBroker("a:1");
  const membership = membershipOf(broker);
  let topic = "orders";
  membership.addConsumer("billing", () => billing(topic));
  await membership.beat();
  topic = "payments";
  await membership.beat();
  const topics = broker.asked.map(({ body }) =>
    (body as { consumerDataSet: ConsumerData[] }).consumerDataSet[0]!.subscriptionDataSet[0]!.topic
  );
  assertEquals(topics, ["orders", "payments"]);
});

Deno.test("beat() is false only if no broker has answered, reports each that has not, and never rejects", async () => {
  const [good, bad] = [new FakeBroker("a:1"), new FakeBroker("b:1")];
  const failures: [string, unknown][] = [];
  const membership = withFailures(failures, bad, good);
  membership.addConsumer("billing", billing);
  bad.fails = true;
  assertEquals(await membership.beat(), true);
  assertEquals(failures.map(([address, error]) => `${address} ${error}`), ["b:1 RangeError: b:1 is down"]);
  good.fails = true;
  assertEquals(await membership.beat(), false);
  assertEquals([membership.version("a:1"), membership.version("b:1")], [479, undefined]);
  assertEquals(await membershipOf().beat(), false);
});

Deno.test("start() beats at an interval until stop(), whatever fails", async () => {
  using unheard = new Unheard();
  using time = new FakeTime();
  const broker = new FakeBroker("a:1");
  broker.fails = true;
  const membership = membershipOf(broker);
  membership.start(30_000);
  time.tick(60_000);
  assertEquals(broker.asked.length, 0);
  membership.addConsumer("billing", billing);
  time.tick(29_999);
  assertEquals(broker.asked.length, 0);
  time.tick(1);
  assertEquals(broker.asked.length, 1);
  for (let beats = 2; beats <= 4; beats++) {
    await time.tickAsync(30_000);
    assertEquals(broker.asked.length, beats);
  }
  membership.stop();
  time.tick(300_000);
  assertEquals(broker.asked.length, 4);
  await time.runMicrotasks();
  assertEquals(unheard.reasons, []);
});

Deno.test("heartbeats that are requested while one is under way share the next, and describe the groups of then", async () => {
  const broker = new FakeBroker("a:1");
  const membership = membershipOf(broker);
  membership.addConsumer("billing", billing);
  const beats = [membership.beat()];
  membership.addConsumer("shipping", billing);
  for (let i = 0; i < 100; i++) beats.push(membership.beat());
  assertEquals(await Promise.all(beats), Array(101).fill(true));
  assertEquals(broker.asked.map(({ body }) => (body as { consumerDataSet: unknown[] }).consumerDataSet.length), [1, 2]);
  await membership.beat();
  await membership.registerMissing();
  assertEquals(broker.asked.length, 3);
  membership.forget("a:1");
  await membership.registerMissing();
  assertEquals(broker.asked.length, 4);
});

Deno.test("registerProducer() registers a group at once, also with brokers that know others of this client", async () => {
  const [master, other] = [new FakeBroker("a:1"), new FakeBroker("b:1", false)];
  const membership = membershipOf(master, other);
  const groupsOf = ({ asked }: FakeBroker) =>
    asked.map(({ body }) => [...JSON.stringify(body).matchAll(/"groupName":"(\w+)"/g)].map(([, group]) => group));
  await membership.registerProducer("senders");
  await membership.registerProducer("payers");
  await membership.registerProducer("payers"); // a second producer of the group: brokers know it
  assertEquals([groupsOf(master), groupsOf(other)], [[["senders"], ["senders", "payers"]], []]);

  other.isMaster = true;
  await membership.registerMissing();
  assertEquals([master.asked.length, groupsOf(other)], [2, [["senders", "payers"]]]);
  other.fails = true;
  await membership.registerProducer("refunders");
  other.fails = false;
  await membership.registerMissing();
  assertEquals([master.asked.length, other.asked.length], [3, 3]);
});

Deno.test("removeConsumer() leaves the group at all brokers, once", async () => {
  const brokers = [new FakeBroker("a:1"), new FakeBroker("a:2", false), new FakeBroker("b:1")];
  const membership = membershipOf(...brokers);
  membership.addConsumer("billing", billing);
  assert(membership.hasConsumer("billing"));
  brokers[0]!.fails = true;
  await membership.removeConsumer("billing");
  await membership.removeConsumer("billing");
  await membership.removeConsumer("never");
  assertEquals(membership.hasConsumer("billing"), false);
  const header = { clientID: "10.0.0.1@abc", consumerGroup: "billing" };
  for (const { asked } of brokers) {
    assertEquals(asked, [{ name: unregisterClient.name, header, body: undefined, timeout: 3_000 }]);
  }
  assertEquals(await membership.beat(), false);
});

Deno.test("removeProducer() leaves the group at the masters when its last producer is gone", async () => {
  const [master, slave] = [new FakeBroker("a:1"), new FakeBroker("a:2", false)];
  const membership = membershipOf(master, slave);
  membership.addProducer("senders");
  membership.addProducer("senders");
  await membership.removeProducer("senders");
  assertEquals(master.asked, []);
  await membership.beat();
  await membership.removeProducer("senders");
  await membership.removeProducer("senders");
  await membership.removeProducer("never");
  assertEquals([master.names, slave.names], [["Heartbeat", "UnregisterClient"], []]);
  assertEquals(master.asked[1]!.header, { clientID: "10.0.0.1@abc", producerGroup: "senders" });
  assertEquals(await membership.beat(), false);
  membership.addProducer("senders");
  assertEquals(await membership.beat(), true);
});

Deno.test("beatTo() rejects with what the broker's failure was", async () => {
  const broker = new FakeBroker("a:1");
  const membership = membershipOf(broker);
  membership.addConsumer("billing", billing);
  broker.fails = true;
  const outcome = membership.beatTo(broker).then(() => "fine", (error) => error.message);
  assertEquals(await outcome, "a:1 is down");
  await turns();
});
