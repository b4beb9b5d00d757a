import { assertEquals } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import type { AssignmentBody } from "../../src/wire/bodies.ts";
import { queryAssignment, setMessageRequestMode } from "../../src/wire/requests.ts";
import { jsonOf, outcome, Peer, subscription } from "./peer.ts";

interface Group extends AsyncDisposable {
  readonly broker: EmbeddedBroker;
  /** The queues in the answer for a member, with the request mode; undefined if the broker has no answer. */
  assigned(body?: object): Promise<string | undefined>;
  set(body?: object): Promise<[number, string | undefined]>;
}

/** A group with members of these ids. */
async function groupOf(queues: number, ...ids: string[]): Promise<Group> {
  const broker = await EmbeddedBroker.start({ topics: { orders: { queues } } });
  const peers = await Promise.all(ids.map(() => Peer.connect(broker)));
  for (const [i, peer] of peers.entries()) {
    await peer.join("billing", [subscription("orders")], { clientId: ids[i]! });
  }
  const common = { topic: "orders", consumerGroup: "billing" };
  const member = { ...common, clientId: ids[0], strategyName: "AVG", messageModel: "CLUSTERING" };
  return {
    broker,
    assigned: async (body) => {
      const answer = await peers[0]!.ask(queryAssignment, {}, { body: { ...member, ...body } });
      assertEquals(answer.code, 0, answer.remark);
      const { messageQueueAssignments } = jsonOf(answer) as AssignmentBody;
      return messageQueueAssignments?.map(({ messageQueue, mode }) => {
        assertEquals([messageQueue.topic, messageQueue.brokerName], [Object(body).topic ?? "orders", "broker-a"]);
        return `${mode} ${messageQueue.queueId}`;
      }).join(", ");
    },
    set: async (body) => {
      const mode = { ...common, mode: "POP", popShareQueueNum: 0, ...body };
      const answer = await peers[0]!.ask(setMessageRequestMode, {}, { body: mode });
      return [answer.code, answer.remark];
    },
    [Symbol.asyncDispose]: async () => {
      for (const peer of peers) await peer[Symbol.asyncDispose]();
      await broker.close();
    },
  };
}

Deno.test("QueryAssignment shares the queues as the strategy says", async () => {
  await using group = await groupOf(5, "b", "a");

  assertEquals(await group.assigned({ clientId: "a" }), "PULL 0, PULL 1, PULL 2");
  assertEquals(await group.assigned({ clientId: "b" }), "PULL 3, PULL 4");
  assertEquals(await group.assigned({ clientId: "a", strategyName: "AVG_BY_CIRCLE" }), "PULL 0, PULL 2, PULL 4");
  assertEquals(await group.assigned({ clientId: "b", strategyName: "AVG_BY_CIRCLE" }), "PULL 1, PULL 3");
});

Deno.test("QueryAssignment returns no queue to members without a share", async () => {
  await using group = await groupOf(1, "a", "b");

  assertEquals(await group.assigned({ clientId: "b" }), "");
  assertEquals(await group.assigned({ clientId: "stranger" }), "");
  assertEquals(await group.assigned({ clientId: "" }), undefined);
  assertEquals(await group.assigned({ topic: "unknown" }), undefined);
  assertEquals(await group.assigned({ consumerGroup: "unknown" }), undefined);
  assertEquals(await group.assigned({ strategyName: "CONSISTENT_HASH" }), undefined);
  assertEquals(await group.assigned({ strategyName: "toString" }), undefined);
});

Deno.test("QueryAssignment returns all queues to every member in broadcasting", async () => {
  await using group = await groupOf(3, "a");

  assertEquals(await group.assigned({ messageModel: "BROADCASTING", consumerGroup: "none" }), "PULL 0, PULL 1, PULL 2");
});

Deno.test("SetMessageRequestMode lets a group pop: every member all queues of the broker", async () => {
  await using group = await groupOf(3, "a", "b");

  assertEquals(await group.set(), [0, undefined]);
  for (const clientId of ["a", "b", "stranger"]) assertEquals(await group.assigned({ clientId }), "POP -1");
  assertEquals(await group.assigned({ messageModel: "BROADCASTING" }), "POP 0, POP 1, POP 2");
  assertEquals(await group.assigned({ topic: "%RETRY%billing" }), "PULL 0");
  assertEquals(await group.set({ mode: "PULL" }), [0, undefined]);
  assertEquals(await group.assigned(), "PULL 0, PULL 1");
});

Deno.test("SetMessageRequestMode lets each member share the queues of so many others", async () => {
  await using group = await groupOf(3, "a", "b", "c");
  await group.set({ popShareQueueNum: 1 });

  assertEquals(await group.assigned({ clientId: "a" }), "POP 0, POP 1");
  assertEquals(await group.assigned({ clientId: "c" }), "POP 2, POP 0");
  assertEquals(await group.assigned({ clientId: "stranger" }), "");
  await using crowd = await groupOf(2, "a", "b", "c");
  await crowd.set({ popShareQueueNum: 1 });
  assertEquals(await crowd.assigned({ clientId: "a" }), "POP 0");
  assertEquals(await crowd.assigned({ clientId: "c" }), "POP 0");
});

Deno.test("SetMessageRequestMode is refused for topics and groups that there cannot be", async () => {
  await using group = await groupOf(1, "a");

  assertEquals(await group.set({ topic: "unknown" }), [17, "topic[unknown] not exist"]);
  assertEquals(await group.set({ topic: "%RETRY%billing" }), [16, "retry topic is not allowed to set mode"]);
  assertEquals(await group.set({ consumerGroup: "a b" }), [26, "subscription group does not exist"]);
  assertEquals(await group.set({ consumerGroup: "new" }), [0, undefined]);
});

Deno.test("QueryAssignment refuses a request without topic or model", async () => {
  await using group = await groupOf(1, "a");
  await using peer = await Peer.connect(group.broker);

  const answer = await peer.ask(queryAssignment, {}, { body: { topic: "orders", consumerGroup: "billing" } });
  assertEquals(outcome(answer)[0], 1);
});
