import { assertEquals } from "@std/assert";
import { BrokerHealth } from "../../src/cluster/broker_health.ts";

/** For how long a broker is avoided after what `note` notes at the time 0, in milliseconds. */
function avoidedFor(note: (health: BrokerHealth) => void): number {
  const health = new BrokerHealth();
  note(health);
  let time = 0;
  while (health.isAvoided("a", time)) time += 500;
  return time;
}

Deno.test("BrokerHealth avoids a broker for the longer the later it answers", () => {
  const latencies = [0, 549, 550, 1_799, 1_800, 3_000, 5_000, 14_999, 15_000, 600_000];
  assertEquals(
    latencies.map((latency) => avoidedFor((health) => health.answered("a", latency, 0))),
    [0, 0, 2_000, 2_000, 5_000, 6_000, 10_000, 10_000, 30_000, 30_000],
  );
  assertEquals(avoidedFor((health) => health.failed("a", 0)), 10_000);
  assertEquals(avoidedFor((health) => health.busy("a", 0)), 2_000);
});

Deno.test("BrokerHealth forgets with the first good answer, and holds nothing while all are well", () => {
  const health = new BrokerHealth();
  assertEquals(health.isGood, true);
  health.answered("a", 10);
  health.chosen("a");
  assertEquals(health.isGood, true);
  health.failed("a", 0);
  health.failed("b", 0);
  assertEquals([health.isGood, health.isAvoided("a", 1), health.isAvoided("c", 1)], [false, true, false]);
  health.answered("a", 10);
  assertEquals([health.isAvoided("a", 1), health.isAvoided("b", 1)], [false, true]);
  health.answered("b", 10);
  assertEquals(health.isGood, true);
});

Deno.test("BrokerHealth lets one request at a time try a broker whose time is over", () => {
  const health = new BrokerHealth();
  health.failed("a", 0);
  health.chosen("a", 9_999);
  assertEquals(health.isAvoided("a", 10_000), false);
  health.chosen("a", 10_000);
  assertEquals([health.isAvoided("a", 10_999), health.isAvoided("a", 11_000)], [true, false]);
});
