import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { getMaxOffset, getMinOffset, searchOffsetByTimestamp } from "../../src/wire/requests.ts";
import { outcome, Peer, subscription } from "./peer.ts";

const topics = { orders: { queues: 2 } };

Deno.test("QueryConsumerOffset answers 0 without a commit while the first message is still there, else 22", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const query = async (setZeroIfNotFound?: boolean) => {
    const { code, fields } = await peer.query("billing", "orders", setZeroIfNotFound);
    return [code, fields.offset];
  };

  assertEquals(await query(), [22, undefined]);
  await broker.publish("orders", ["a", "b"], { queueId: 0 });
  assertEquals(await query(), [0, "0"]);
  assertEquals(await query(true), [0, "0"]);
  assertEquals(await query(false), [22, undefined]);
  broker.deleteUntil("orders", 0, 1);
  assertEquals(await query(), [22, undefined]);
});

Deno.test("UpdateConsumerOffset stores any value of a group and a topic that exist", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const commit = async (group: string, topic: string, offset: number, queueId = 0) =>
    (await peer.commit(group, topic, offset, queueId)).code;

  assertEquals(await commit("billing", "orders", 1), 26);
  await peer.join("billing", [subscription("orders")]);
  assertEquals(await commit("billing", "unknown", 1), 17);
  assertEquals(await commit("billing", "orders", 100), 0);
  assertEquals(await commit("billing", "orders", -5), 0);
  assertEquals((await peer.query("billing", "orders")).code, 22);
  assertEquals(await commit("billing", "orders", 3), 0);
  assertEquals(await commit("billing", "orders", 4, 1), 0);
  assertEquals((await peer.query("billing", "orders")).fields.offset, "3");
  assertEquals(broker.committed("billing", "orders"), 7);
  assertEquals(broker.committed("other", "orders"), 0);
});

Deno.test("a group is made by a heartbeat, a pull or a send-back, not by a commit", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);

  await peer.pull({ topic: "orders", consumerGroup: "pulls" });
  await peer.sendBack({ offset: 0, group: "sends" });

  assertEquals((await peer.commit("pulls", "orders", 1)).code, 0);
  assertEquals((await peer.commit("sends", "orders", 1)).code, 0);
  assertEquals((await peer.commit("nobody", "orders", 1)).code, 26);
});

Deno.test("GetMaxOffset and GetMinOffset return the offset range of a queue; of an unknown one 0", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const ends = async (topic: string) => [
    (await peer.ask(getMinOffset, { topic, queueId: 0 })).fields.offset,
    (await peer.ask(getMaxOffset, { topic, queueId: 0 })).fields.offset,
  ];

  assertEquals(await ends("unknown"), ["0", "0"]);
  assertEquals(await ends("orders"), ["0", "0"]);
  await broker.publish("orders", ["a", "b", "c"], { queueId: 0 });
  broker.deleteUntil("orders", 0, 2);
  assertEquals(await ends("orders"), ["2", "3"]);
  assertEquals([broker.minOffset("orders", 0), broker.maxOffset("orders", 0)], [2, 3]);
});

Deno.test("SearchOffsetByTimestamp finds the first message at or after a time, or the last one before", async () => {
  using time = new FakeTime(10_000);
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  const search = async (timestamp: number, boundaryType?: string) => {
    const fields = { topic: "orders", queueId: "0", timestamp: String(timestamp) };
    const all = boundaryType === undefined ? fields : { ...fields, boundaryType };
    return (await peer.askText(searchOffsetByTimestamp, all)).fields.offset;
  };

  assertEquals(await search(10_000), "0");
  for (const body of ["a", "b", "c"]) {
    await broker.publish("orders", [body, body], { queueId: 0 });
    time.tick(1_000);
  }
  const times = [9_999, 10_000, 10_500, 11_000, 12_000, 12_001];
  assertEquals(await Promise.all(times.map((at) => search(at))), ["0", "0", "2", "2", "4", "6"]);
  assertEquals(await Promise.all(times.map((at) => search(at, "upper"))), ["0", "1", "1", "3", "5", "5"]);
  broker.deleteUntil("orders", 0, 3);
  assertEquals(await search(0), "3");
});

Deno.test("resetOffset() answers the next pull with 21, and ignores commits until then", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  await using peer = await Peer.connect(broker);
  await broker.publish("orders", ["a", "b", "c"], { queueId: 0 });
  await peer.join("billing", [subscription("orders")]);
  await peer.commit("billing", "orders", 3);

  broker.resetOffset("billing", { topic: "orders", queueId: 0 }, 1);
  assertEquals((await peer.commit("billing", "orders", 3)).remark, "Offset has been previously reset");
  assertEquals((await peer.query("billing", "orders")).fields.offset, "1");
  const answer = await peer.pull({ topic: "orders", queueOffset: 3 });
  assertEquals([...outcome(answer), answer.fields.nextBeginOffset], [21, "OFFSET_RESET", "1"]);

  assertEquals(outcome(await peer.pull({ topic: "orders", queueOffset: 3 })), [19, "OFFSET_OVERFLOW_ONE"]);
  assertEquals(broker.committed("billing", "orders"), 1);
  await peer.commit("billing", "orders", 2);
  assertEquals(broker.committed("billing", "orders"), 2);
});
