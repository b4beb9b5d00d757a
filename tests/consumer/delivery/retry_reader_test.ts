/** Whose retry a record is, and which groups have names too long for theirs. */

import { assertEquals } from "@std/assert";
import { readMessage } from "../../../src/consumer/delivery/direct.ts";
import { refusedOf } from "../../../src/consumer/group_length.ts";
import { retryReader, type SubscribedTopics } from "../../../src/consumer/delivery/retry_reader.ts";
import { decodeRecords } from "../../../src/wire/record.ts";
import { plainRecord } from "../../wire/plain_record.ts";

function subscribedTo(...topics: string[]): SubscribedTopics {
  return { topics: () => topics, selector: (topic) => topics.includes(topic) ? "*" : undefined };
}

/** A record of a topic that a group has retried four times; it was sent to `orders`. */
function retried(topic: string): Uint8Array {
  return plainRecord({ topic, reconsumeTimes: 4, properties: "RETRY_TOPIC\x01orders\x02" });
}

/** The topic and the times that a group sees in a queue of a topic. */
function seen(topic: string, ...topics: string[]): [string, number] {
  const reader = retryReader("repair", subscribedTo(...topics));
  const [message] = decodeRecords(retried(topic), { topic, broker: "b", queueId: 0 }, undefined, reader).messages;
  return [message!.topic, message!.reconsumeTimes];
}

Deno.test("times and topic of a record count in the retry queue of the group that reads, and nowhere else", () => {
  assertEquals(seen("%RETRY%repair", "orders"), ["orders", 4]);
  assertEquals(seen("%DLQ%billing", "%DLQ%billing"), ["%DLQ%billing", 0]);
  assertEquals(seen("%DLQ%repair", "%DLQ%repair"), ["%DLQ%repair", 0]);
  assertEquals(seen("%RETRY%billing", "%RETRY%billing"), ["%RETRY%billing", 0]);
  assertEquals(seen("payments", "payments"), ["payments", 0]);
});

Deno.test("a retry of a topic that is not subscribed goes to the one dead letter queue that is, else to its own topic", () => {
  assertEquals(seen("%RETRY%repair", "%DLQ%billing"), ["%DLQ%billing", 4]);
  assertEquals(seen("%RETRY%repair", "%DLQ%billing", "payments"), ["%DLQ%billing", 4]);
  assertEquals(seen("%RETRY%repair", "%DLQ%billing", "orders"), ["orders", 4]);
  assertEquals(seen("%RETRY%repair", "%DLQ%billing", "%DLQ%other"), ["orders", 4]);
  assertEquals(seen("%RETRY%repair", "payments"), ["orders", 4]);
});

Deno.test("without a group a record is shown as it is stored", () => {
  const [message] = decodeRecords(retried("%DLQ%billing"), { topic: "%DLQ%billing", broker: "b", queueId: 0 }).messages;
  assertEquals([message!.topic, message!.reconsumeTimes], ["%DLQ%billing", 4]);
});

Deno.test("a message consumed directly: the group's own retries and dead letters have the topic they were sent to", () => {
  const direct = (topic: string, ...topics: string[]) => {
    const message = readMessage(retried(topic), "b", "billing", subscribedTo(...topics))!;
    return [message.topic, message.queue.topic, message.reconsumeTimes];
  };
  for (const topic of ["%RETRY%billing", "%DLQ%billing", "%RETRY%billing+orders", "%RETRY%billing_orders"]) {
    assertEquals(direct(topic, "orders"), ["orders", topic, 4]);
  }
  assertEquals(direct("%DLQ%billing", "%DLQ%billing"), ["%DLQ%billing", "%DLQ%billing", 0]);
  assertEquals(direct("%DLQ%other", "orders"), ["%DLQ%other", "%DLQ%other", 0]);
});

Deno.test("refusedOf() tells what brokers store of groups with long names", () => {
  const of = (length: number, isOld: boolean) => refusedOf("g".repeat(length), isOld);
  assertEquals([120, 121, 122, 123, 255].map((length) => of(length, true)), [
    undefined,
    "retries",
    "retries",
    "retries and dead letters",
    "retries and dead letters",
  ]);
  assertEquals([120, 122, 123, 248, 249].map((length) => of(length, false)), [
    undefined,
    undefined,
    "dead letters",
    "dead letters",
    "retries and dead letters",
  ]);
});
