import { assertEquals } from "@std/assert";
import { ConsumerStatistics } from "../../src/telemetry/consumer_statistics.ts";

const ZEROS = { pullRT: 0, pullTPS: 0, consumeRT: 0, consumeOKTPS: 0, consumeFailedTPS: 0, consumeFailedMsgs: 0 };
const MINUTE = 60_000;

Deno.test("ConsumerStatistics.snapshot() gives the minute's rates and times, and the hour's failures", () => {
  let now = 1_234;
  const statistics = new ConsumerStatistics({ now: () => now });
  for (let second = 0; second < 60; second++) {
    statistics.pulled("orders", 32, 10);
    statistics.pulled("orders", 8, 20);
    statistics.consumed("orders", 30, 100);
    statistics.failed("orders", 10);
    now += 1_000;
  }
  assertEquals(statistics.snapshot("orders"), {
    pullRT: 15,
    pullTPS: 40,
    consumeRT: 100,
    consumeOKTPS: 30,
    consumeFailedTPS: 10,
    consumeFailedMsgs: 0,
  });
  now += 9 * MINUTE;
  assertEquals(statistics.snapshot("orders"), { ...ZEROS, consumeRT: 100, consumeFailedMsgs: 600 });
  now += 60 * MINUTE;
  assertEquals(statistics.snapshot("orders"), ZEROS);
  assertEquals(statistics.within("orders", "CONSUME_OK_TPS", "day").sum, 1_800);
});

Deno.test("ConsumerStatistics.failed() tells how long a batch took that failed as a whole", () => {
  let now = 0;
  const statistics = new ConsumerStatistics({ now: () => now });
  statistics.consumed("orders", 5, 10);
  statistics.failed("orders", 5, 30);
  now = 10_000;
  const { consumeRT, consumeOKTPS, consumeFailedTPS } = statistics.snapshot("orders");
  assertEquals([consumeRT, consumeOKTPS, consumeFailedTPS], [20, 0.5, 0.5]);
});

Deno.test("ConsumerStatistics keeps topics apart, and forgets them", () => {
  let now = 0;
  const statistics = new ConsumerStatistics({ now: () => now });
  statistics.pulled("orders", 10, 1);
  now = 5_000;
  statistics.pulled("%RETRY%billing", 20, 1);
  now = 10_000;
  assertEquals(statistics.topics, ["orders", "%RETRY%billing"]);
  assertEquals(["orders", "%RETRY%billing"].map((topic) => statistics.snapshot(topic).pullTPS), [1, 2]);
  statistics.forget("orders");
  assertEquals([statistics.topics, statistics.snapshot("orders")], [["%RETRY%billing"], ZEROS]);
});
