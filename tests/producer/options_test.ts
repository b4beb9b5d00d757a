import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../src/errors.ts";
import { checkProducerOptions } from "../../src/producer/options.ts";
import { checkSendBatchOptions, checkSendOptions, type SendOptions } from "../../src/producer/send_options.ts";
import { fromJavaScript } from "../untyped.ts";

/** The fields that an options check complains about. */
function complaints(check: () => unknown): string[] {
  return assertThrows(check, ConfigError).problems.map(({ field }) => field);
}

Deno.test("checkProducerOptions() fills the defaults in", () => {
  assertEquals(checkProducerOptions(), {
    group: "denorocket-producer",
    sendTimeout: 3_000,
    retries: 2,
    compressAbove: 4_096,
    maxMessageSize: 4_194_304,
    linger: 0,
    batchBytes: 65_536,
  });
  assertEquals(checkProducerOptions({ group: "billing", compressAbove: false, retries: 0 }), {
    group: "billing",
    sendTimeout: 3_000,
    retries: 0,
    compressAbove: false,
    maxMessageSize: 4_194_304,
    linger: 0,
    batchBytes: 65_536,
  });
});

Deno.test("checkProducerOptions() names every problem at once, unknown names included", () => {
  const bad = {
    group: "a b",
    sendTimeout: 0,
    retries: 1.5,
    compressAbove: true,
    maxMessageSize: 2e7,
    linger: 1_001,
    batchBytes: 1_023,
    topic: "x",
  };
  assertEquals(
    complaints(() => checkProducerOptions(fromJavaScript(bad))),
    ["topic", "group", "sendTimeout", "retries", "compressAbove", "maxMessageSize", "linger", "batchBytes"],
  );
  assertEquals(complaints(() => checkProducerOptions({ group: "DEFAULT_PRODUCER" })), ["group"]);
  assertEquals(complaints(() => checkProducerOptions(fromJavaScript([]))), ["options"]);
});

Deno.test("checkSendOptions() accepts what is allowed, and the producer's timeout as default", () => {
  const { signal } = new AbortController();
  assertEquals(checkSendOptions({ orderingKey: "k", delayLevel: 18, signal }, 3_000), {
    orderingKey: "k",
    delayLevel: 18,
    signal,
    timeout: 3_000,
  });
  assertEquals(checkSendOptions({ timeout: 5, orderingKey: undefined }, 3_000).timeout, 5);
});

Deno.test("checkSendOptions() names every problem at once", () => {
  const bad = { orderingKey: "", delayLevel: 0, timeout: -1, signal: {}, delay: 5 };
  assertEquals(
    complaints(() => checkSendOptions(fromJavaScript(bad), 3_000)),
    ["delay", "delayLevel", "orderingKey", "signal", "timeout"],
  );
  const queue = { topic: "a b", broker: "", queueId: -1 };
  assertEquals(complaints(() => checkSendOptions({ queue }, 3_000)), ["queue.topic", "queue.broker", "queue.queueId"]);
  assertEquals(complaints(() => checkSendOptions({ queue: fromJavaScript(3) }, 3_000)), ["queue"]);
  const good = { topic: "orders", broker: "broker-a", queueId: 0 };
  assertEquals(complaints(() => checkSendOptions({ queue: good, orderingKey: "k" }, 3_000)), ["queue"]);
  assertEquals(complaints(() => checkSendOptions({ orderingKey: "a\u0001" }, 3_000)), ["orderingKey"]);
});

Deno.test("checkSendBatchOptions() refuses a delay level and says what to do", () => {
  const error = assertThrows(() => checkSendBatchOptions({ delayLevel: 3 } as SendOptions, 3_000), ConfigError);
  assertEquals(error.problems.length, 1);
  assertEquals(
    error.message,
    "Cannot send a batch: delayLevel is 3, allowed is no delay level: brokers do not delay batches; send the " +
      "messages one by one",
  );
  assertEquals(checkSendBatchOptions({ delayLevel: undefined } as SendOptions, 7).timeout, 7);
  assertEquals(complaints(() => checkSendBatchOptions(fromJavaScript(null), 7)), ["options"]);
});
