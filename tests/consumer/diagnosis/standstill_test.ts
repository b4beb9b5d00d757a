/** What a consumer reports that stands still because of the program around it. */

import { assertEquals, assertMatch } from "@std/assert";
import { type Holdings, StandstillWatch } from "../../../src/consumer/diagnosis/standstill.ts";
import { EventHub } from "../../../src/events.ts";
import { type StatusEvent, statusEvent } from "../../../src/status_event.ts";
import type { Finding } from "../../../src/health.ts";

const nothing: Holdings = {
  queues: 4,
  full: 0,
  ready: 0,
  inFlight: 0,
  batches: 0,
  oldest: undefined,
  isAsked: true,
  isOrdered: false,
  acksExplicitly: false,
  progress: "0",
};

/** A watch over what a test says is held. */
class Bench {
  readonly events: StatusEvent[] = [];
  readonly watch: StandstillWatch;
  holdings: Holdings = nothing;
  others: Finding[] = [];

  constructor() {
    const hub = new EventHub(false);
    hub.emit = (level, type, text, details) => this.events.push(statusEvent(level, type, text, details));
    this.watch = new StandstillWatch({
      what: `group "billing"`,
      about: { group: "billing" },
      events: hub,
      holdings: () => this.holdings,
      others: () => this.others,
    });
  }

  /** Looks every 2.5 s; returns the types and texts that this brought. */
  look(from: number, to: number): string[] {
    const before = this.events.length;
    for (let now = from; now <= to; now += 2_500) this.watch.check(now);
    return this.events.slice(before).map(({ type, text }) => `${type} ${text}`);
  }
}

Deno.test("StandstillWatch reports batches that nobody settles once, within 10 s, and the end", () => {
  const bench = new Bench();
  bench.holdings = {
    ...nothing,
    full: 4,
    inFlight: 4_000,
    batches: 125,
    oldest: 0,
    acksExplicitly: true,
    progress: "1",
  };
  const events = bench.look(0, 10_000);
  assertEquals(events.length, 1);
  assertMatch(
    events[0]!,
    /^stalled group "billing": .*125 batches with 4000 messages in flight.*4 of 4 queues have reached a limit; settle.*ack\(\)/,
  );
  bench.holdings = { ...bench.holdings, progress: "2" };
  assertMatch(bench.look(12_500, 12_500)[0]!, /^revived group "billing": continues after 13 s \(unsettled is over\)/);
});

Deno.test("StandstillWatch reports that nobody iterates, also where the loops want other topics", () => {
  const bench = new Bench();
  bench.holdings = { ...nothing, full: 1, ready: 20, isAsked: false };
  assertMatch(
    bench.look(100_000, 110_000).join(),
    /^stalled .*20 messages are buffered and no loop requests a batch.*for await/,
  );
  bench.holdings = { ...nothing, ready: 20 };
  assertEquals(bench.look(112_500, 120_000), [], "it is the same kind of standstill");
  bench.holdings = nothing;
  assertMatch(bench.look(122_500, 125_000).join(), /^revived /);
  bench.holdings = { ...nothing, ready: 20, progress: "2" };
  assertMatch(bench.look(127_500, 135_000).join(), /^stalled .*of topics that no loop requests/);
});

Deno.test("StandstillWatch reports handlers that do not return, and slow ones ever later", () => {
  const bench = new Bench();
  const busy = { ...nothing, inFlight: 20, batches: 20, isAsked: false };
  bench.holdings = { ...busy, oldest: 100_000, progress: "1" };
  assertEquals(bench.look(100_000, 107_500), []);
  assertMatch(
    bench.look(110_000, 120_000).join(),
    /^stalled .*20 batches with 20 messages in flight, the oldest for 10 s/,
  );
  bench.holdings = { ...busy, oldest: 122_500, progress: "2" };
  assertMatch(bench.look(122_500, 122_500).join(), /^revived .*after 23 s/);
  assertEquals(bench.look(125_000, 165_000), [], "it is known to be slow");
  assertMatch(bench.look(167_500, 170_000).join(), /^stalled /);
});

Deno.test("StandstillWatch leaves alone what advances, and what is in flight while there is room", () => {
  const bench = new Bench();
  for (let now = 0; now < 60_000; now += 2_500) {
    bench.holdings = {
      ...nothing,
      full: 4,
      inFlight: 100,
      batches: 4,
      oldest: now,
      isAsked: false,
      progress: `${now}`,
    };
    bench.watch.check(now);
  }
  bench.holdings = { ...nothing, inFlight: 100, batches: 4, oldest: 0, acksExplicitly: true };
  assertEquals(bench.look(60_000, 120_000), []);
});

Deno.test("StandstillWatch reports other reasons from when they are seen", () => {
  const bench = new Bench();
  bench.others = [{ code: "noQueues", text: "no queue is for this member", remedy: "create more" }];
  assertMatch(bench.look(1_000, 6_000).join(), /^stalled group "billing": no queue is for this member; create more$/);
  bench.others = [];
  assertMatch(bench.look(8_500, 8_500).join(), /^revived .*noQueues is over/);
});
