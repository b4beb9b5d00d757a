import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import {
  checkClientConfig,
  getConsumerConnections,
  getConsumerList,
  getRoute,
  unregisterClient,
} from "../../src/wire/requests.ts";
import { jsonOf, outcome, Peer, subscription } from "./peer.ts";

Deno.test("Heartbeat adds a member, creates the group's retry topic, and returns the version", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);

  const answer = await peer.join("billing", [subscription("orders")]);

  assertEquals([answer.code, answer.version], [0, 479]);
  assertEquals(answer.fields, { IS_SUPPORT_HEART_BEAT_V2: "true", IS_SUB_CHANGE: "true" });
  assertEquals(broker.members("billing"), ["client-1"]);
  assertEquals((await peer.ask(getRoute, { topic: "%RETRY%billing" })).code, 0);
  assertEquals(broker.topicStats("%RETRY%billing").length, 1);
  assertEquals((await peer.join("bad group", [])).code, 0);
  assertEquals(broker.members("bad group"), []);
});

Deno.test("Heartbeat of the second version may leave the subscriptions out", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using peer = await Peer.connect(broker);
  const changed = async (fingerprint: number, withoutSub: boolean) => {
    const subscriptions = withoutSub ? [] : [subscription("orders")];
    return (await peer.join("billing", subscriptions, { fingerprint, withoutSub })).fields.IS_SUB_CHANGE;
  };

  assertEquals(await changed(5, false), "false");
  assertEquals(await changed(5, true), "false");
  assertEquals(await changed(6, true), "true");
  assertEquals((await peer.pull({ topic: "orders", sysFlag: 0, subVersion: 1 })).code, 19);
});

Deno.test("GetConsumerList lists the members, and answers 1 when there is none", async () => {
  await using broker = await EmbeddedBroker.start();
  await using one = await Peer.connect(broker);
  await using two = await Peer.connect(broker);
  const list = () => one.ask(getConsumerList, { consumerGroup: "billing" });

  assertEquals(outcome(await list()), [1, "no consumer for this group, billing"]);
  await one.join("billing", [subscription("orders")], { clientId: "one" });
  await two.join("billing", [subscription("orders")], { clientId: "two" });
  assertEquals(jsonOf(await list()), { consumerIdList: ["one", "two"] });
  await two.ask(unregisterClient, { clientID: "two", consumerGroup: "billing" });
  assertEquals(jsonOf(await list()), { consumerIdList: ["one"] });
});

Deno.test("NotifyConsumerIdsChanged is sent to every member on join, leave and loss", async () => {
  await using broker = await EmbeddedBroker.start();
  await using one = await Peer.connect(broker);
  await using two = await Peer.connect(broker);

  await one.join("billing", [subscription("orders")], { clientId: "one" });
  await one.untilNotified(1);
  await two.join("billing", [subscription("orders")], { clientId: "two" });
  await Promise.all([one.untilNotified(2), two.untilNotified(1)]);
  await one.join("billing", [subscription("orders")], { clientId: "one" });
  await two.ask(unregisterClient, { clientID: "two", consumerGroup: "billing" });
  await one.untilNotified(3);
  await two.join("billing", [subscription("orders")], { clientId: "two" });
  await one.untilNotified(4);
  two.connection.close();
  await one.untilNotified(5);

  assertEquals(one.notified.length, 5);
  assertEquals(new Set(one.notified), new Set(["billing"]));
  assertEquals(broker.members("billing"), ["one"]);
});

Deno.test("NotifyConsumerIdsChanged is sent when a topic is added or removed, not for another expression", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);
  const joined = async (...subscriptions: ReturnType<typeof subscription>[]) => {
    await peer.join("billing", subscriptions);
    return peer.notified.length;
  };

  assertEquals(await joined(subscription("orders")), 1);
  assertEquals(await joined(subscription("orders", "a", 2)), 1);
  assertEquals(await joined(subscription("orders", "a", 2), subscription("payments")), 2);
  assertEquals(await joined(subscription("payments")), 3);
});

Deno.test("an older subscription does not replace a newer one of the group", async () => {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using one = await Peer.connect(broker);
  await using two = await Peer.connect(broker);
  await broker.publish("orders", [{ body: "1", tags: "a" }, { body: "2", tags: "b" }]);

  await one.join("billing", [subscription("orders", "a", 2)]);
  await two.join("billing", [subscription("orders", "b", 1)]);

  const messages = await two.messages({ topic: "orders", sysFlag: 0, subVersion: 1 });
  assertEquals(messages.map((message) => message.text()), ["1"]);
});

Deno.test("members of broadcasting groups are not notified", async () => {
  await using broker = await EmbeddedBroker.start();
  await using one = await Peer.connect(broker);
  await using two = await Peer.connect(broker);

  await one.join("news", [subscription("orders")], { clientId: "one", model: "BROADCASTING" });
  await two.join("news", [subscription("orders")], { clientId: "two", model: "BROADCASTING" });
  await one.join("billing", [subscription("orders")]);
  await one.untilNotified(1);

  assertEquals(one.notified, ["billing"]);
  assertEquals(broker.members("news"), ["one", "two"]);
});

Deno.test("a member without a heartbeat expires after 120 seconds, and its connection is closed", async () => {
  using time = new FakeTime();
  await using broker = await EmbeddedBroker.start();
  await using silent = await Peer.connect(broker);
  await using lively = await Peer.connect(broker);
  await silent.join("billing", [subscription("orders")], { clientId: "silent" });
  await lively.join("billing", [subscription("orders")], { clientId: "lively" });

  time.tick(119_000);
  await lively.join("billing", [subscription("orders")], { clientId: "lively" });
  assertEquals(broker.members("billing"), ["silent", "lively"]);
  time.tick(1_000);

  assertEquals(broker.members("billing"), ["lively"]);
  await silent.connection.closed;
  await lively.untilNotified(2);
});

Deno.test("GetConsumerConnections lists the members of a group, and answers 206 without any", async () => {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);
  const ask = () => peer.ask(getConsumerConnections, { consumerGroup: "billing" });

  assertEquals((await ask()).code, 206);
  await peer.join("billing", [subscription("orders", "a")], { clientId: "one" });
  const body = jsonOf(await ask()) as { connectionSet: { clientAddr?: string }[] };
  delete body.connectionSet[0]!.clientAddr;
  assertEquals(body as unknown, {
    connectionSet: [{ clientId: "one", language: "OTHER", version: 479 }],
    subscriptionTable: { orders: subscription("orders", "a") },
    consumeType: "CONSUME_PASSIVELY",
    messageModel: "CLUSTERING",
    consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
  });
});

Deno.test("CheckClientConfig takes tags and refuses SQL with 1 if the property filter is off", async () => {
  await using broker = await EmbeddedBroker.start({ propertyFilter: false });
  await using peer = await Peer.connect(broker);
  const check = async (expressionType: string) => {
    const subscriptionData = { ...subscription("orders"), expressionType };
    const body = { clientId: "c", group: "billing", subscriptionData };
    return (await peer.ask(checkClientConfig, {}, { body })).code;
  };

  assertEquals(await check("TAG"), 0);
  assertEquals(await check("SQL92"), 1);
});
