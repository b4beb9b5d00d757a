import { assertEquals, assertStrictEquals } from "@std/assert";
import { BrokerHealth } from "../../src/cluster/broker_health.ts";
import type { MessageQueue } from "../../src/message.ts";
import { queueOfKey, RoundRobin } from "../../src/sending/queue_selection.ts";
import { javaHashCode } from "../../src/wire/codes.ts";

/** Queues of brokers: `"a0 a1 b0"`. */
function queues(text: string): MessageQueue[] {
  return text.split(" ").map((name) => ({ topic: "orders", broker: name[0]!, queueId: Number(name[1]) }));
}

/** Takes roundRobin, each after failures on these brokers: `"a1"`. */
function take(roundRobin: RoundRobin, all: readonly MessageQueue[], failed = ""): string {
  const { broker, queueId } = roundRobin.next("orders", all, [...failed]);
  return `${broker}${queueId}`;
}

Deno.test("queueOfKey() chooses as Java does", () => {
  const all = queues("a0 a1 a2 b0 b1 b2 c0");
  assertEquals(javaHashCode("hello"), 99162322);
  assertStrictEquals(queueOfKey(all, "hello"), all[99162322 % 7]);
  assertStrictEquals(queueOfKey(all, "x"), all[120 % 7]);
  const negative = "customer-7";
  assertEquals(javaHashCode(negative), -1_581_185_528);
  assertStrictEquals(queueOfKey(all, negative), all[6]);
});

Deno.test("queueOfKey() accepts a key whose hash is the smallest int32", () => {
  const key = "polygenelubricants";
  assertEquals(javaHashCode(key), -(2 ** 31));
  for (const names of ["a0", "a0 a1", "a0 a1 a2", "a0 a1 a2 a3 a4 a5 a6"]) {
    const all = queues(names);
    assertStrictEquals(queueOfKey(all, key), all[2 ** 31 % all.length]);
  }
});

Deno.test("next() returns the queues in turn, from a random one on, each topic by itself", () => {
  const all = queues("a0 a1 b0 b1");
  const roundRobin = new RoundRobin(undefined, () => 0.6);
  assertEquals(Array.from({ length: 6 }, () => take(roundRobin, all)), ["b0", "b1", "a0", "a1", "b0", "b1"]);
  assertEquals(roundRobin.next("payments", all), all[2]);
  assertEquals(take(roundRobin, all), "a0");
});

Deno.test("next() skips the broker that failed if there is another", () => {
  const all = queues("a0 a1 b0 b1");
  const roundRobin = new RoundRobin(undefined, () => 0);
  assertEquals(take(roundRobin, all, "a"), "b0");
  assertEquals(take(roundRobin, all, "b"), "a0");
  assertEquals(take(roundRobin, all), "a1");
  assertEquals([take(roundRobin, queues("a0 a1"), "a"), take(roundRobin, queues("a0 a1"), "a")], ["a0", "a1"]);
});

Deno.test("next() prefers brokers that have not been tried, then any but the last", () => {
  const all = queues("a0 b0 c0");
  assertEquals(take(new RoundRobin(undefined, () => 0), all, "ab"), "c0");
  assertEquals(take(new RoundRobin(undefined, () => 0), all, "abc"), "a0");
  assertEquals(take(new RoundRobin(undefined, () => 0.9), all, "abc"), "a0");
  assertEquals(take(new RoundRobin(undefined, () => 0), all, "bca"), "b0");
});

Deno.test("next() continues when the number of queues changes", () => {
  const roundRobin = new RoundRobin(undefined, () => 0.99);
  assertEquals(take(roundRobin, queues("a0 a1 a2 a3")), "a3");
  assertEquals(take(roundRobin, queues("a0 a1 a2 a3")), "a0");
  assertEquals(take(roundRobin, queues("a0")), "a0");
  assertEquals(take(roundRobin, queues("a0 a1 a2")), "a0");
});

Deno.test("next() skips brokers to avoid, and takes turns among the others as before", () => {
  const all = queues("a0 a1 b0 b1 c0");
  const health = new BrokerHealth();
  const roundRobin = new RoundRobin(health, () => 0);
  health.failed("b");
  assertEquals(Array.from({ length: 6 }, () => take(roundRobin, all)), ["a0", "a1", "c0", "a0", "a1", "c0"]);
  health.answered("b", 1);
  assertEquals(Array.from({ length: 5 }, () => take(roundRobin, all)), ["a0", "a1", "b0", "b1", "c0"]);
  for (const broker of "abc") health.failed(broker);
  assertEquals(Array.from({ length: 5 }, () => take(roundRobin, all)), ["a0", "a1", "b0", "b1", "c0"]);
});

Deno.test("next() prefers a broker to avoid to those that have failed this send", () => {
  const all = queues("a0 b0 c0");
  const health = new BrokerHealth();
  health.failed("b");
  assertEquals(take(new RoundRobin(health, () => 0), all, "a"), "c0");
  assertEquals(take(new RoundRobin(health, () => 0), all, "ac"), "b0");
  assertEquals(take(new RoundRobin(health, () => 0), all, "acb"), "a0");
});

Deno.test("next() tries a broker whose time is over with one send, until that is answered", () => {
  const all = queues("a0 b0");
  const health = new BrokerHealth();
  const roundRobin = new RoundRobin(health, () => 0);
  health.failed("b", performance.now() - 20_000);
  assertEquals(Array.from({ length: 4 }, () => take(roundRobin, all)), ["a0", "b0", "a0", "a0"]);
  health.answered("b", 5);
  assertEquals(Array.from({ length: 2 }, () => take(roundRobin, all)), ["b0", "a0"]);
});
