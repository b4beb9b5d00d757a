/** Pops, and answers that are too large. */

import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import type { PopAnswer } from "../../../src/brokers/pop_client.ts";
import { PopReceiver } from "../../../src/consumer/pop/receiver.ts";
import { parseSelector } from "../../../src/consumer/subscriptions/selector.ts";
import { NetworkError, TimeoutError } from "../../../src/errors.ts";
import type { Message } from "../../../src/message.ts";
import { ConsumerStatistics } from "../../../src/telemetry/consumer_statistics.ts";
import { receipt } from "./fakes.ts";

const place = { topic: "orders", broker: "b", queueId: -1 };
const other = { ...place, broker: "c" };

/** A receiver with brokers whose answers hold so many messages at the most. */
class Bench {
  most = 32;
  /** How many messages were asked for, pop by pop. */
  readonly asked: number[] = [];
  empty = false;
  failure: Error | undefined;
  readonly receiver = new PopReceiver({
    options: { group: "billing", invisibleTime: 60_000, consumeFrom: "first" },
    client: {
      pop: (_place, { max }) => {
        this.asked.push(max);
        if (this.failure !== undefined) return Promise.reject(this.failure);
        if (max > this.most) return Promise.reject(new NetworkError("20 MB are too many", "b:1", "ANSWER_TOO_LARGE"));
        return Promise.resolve(answerOf(this.empty ? 0 : max));
      },
      ack: () => Promise.resolve(),
    },
    onBroken: () => {},
    statistics: new ConsumerStatistics(),
    selector: () => parseSelector("*"),
  });
}

function answerOf(count: number): PopAnswer {
  const popped = Array.from({ length: count }, (_, queueOffset) => ({
    message: { topic: "orders", queueOffset, tags: undefined } as Message as PopAnswer["popped"][number]["message"],
    receipt: receipt(queueOffset),
    reconsumeTimes: 0,
    firstPopTime: 0,
  }));
  return { kind: "found", popped, broken: [], receivedAt: performance.now() };
}

Deno.test("PopReceiver halves the count of a place whose answers are too large, and raises it step by step", async () => {
  const bench = new Bench();
  bench.most = 5;
  assertEquals((await bench.receiver.pop(place, 32, 0)).deliveries.length, 4);
  assertEquals(bench.asked.splice(0), [32, 16, 8, 4]);
  await bench.receiver.pop(place, 32, 0);
  await bench.receiver.pop(place, 32, 0);
  assertEquals(bench.asked.splice(0), [5, 6, 3], "one more each time, until it is too much again");
  await bench.receiver.pop(other, 32, 0);
  await bench.receiver.pop(place, 2, 0);
  bench.empty = true;
  await bench.receiver.pop(place, 32, 0);
  await bench.receiver.pop(place, 32, 0);
  assertEquals(bench.asked.splice(0), [32, 16, 8, 4, 2, 4, 4], "an answer that is small or empty proves nothing");
  bench.empty = false;
  bench.most = 32;
  for (let i = 0; i < 40; i++) await bench.receiver.pop(place, 32, 0);
  assertEquals(bench.asked.at(-1), 32);
});

Deno.test("PopReceiver: a single message that is too large is an error that says what to do", async () => {
  const bench = new Bench();
  bench.most = 0;
  const error = await assertRejects(() => bench.receiver.pop(place, 32, 0), NetworkError, "20 MB are too many");
  assertEquals([error.code, bench.asked.splice(0)], ["ANSWER_TOO_LARGE", [32, 16, 8, 4, 2, 1]]);
  assertInstanceOf(error.cause, NetworkError);
  for (const words of ['topic "orders"', 'broker "b"', "resetting"]) assertEquals(error.message.includes(words), true);
  await assertRejects(() => bench.receiver.pop(place, 32, 0), NetworkError);
  assertEquals(bench.asked.splice(0), [1], "it is not asked for more before one has fitted");
  bench.failure = new TimeoutError("complete PopMessage", 10_000);
  await assertRejects(() => bench.receiver.pop(other, 32, 0), TimeoutError);
  assertEquals(bench.asked, [32]);
});
