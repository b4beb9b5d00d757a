import { assertEquals } from "@std/assert";
import { OwnedQueue } from "../../../src/consumer/queue/owned_queue.ts";
import { ProcessQueue } from "../../../src/consumer/queue/process_queue.ts";
import { PullLoop } from "../../../src/consumer/queue/pull_loop.ts";
import { Watchdog } from "../../../src/consumer/queue/watchdog.ts";
import { EventHub } from "../../../src/events.ts";
import { queue } from "../fakes.ts";
import { pullContext } from "./pull_context.ts";

/** A queue whose pulls are never answered. */
function deafQueue(): { owned: OwnedQueue; pulls: () => number; room: (yes: boolean) => void } {
  let pulls = 0;
  let room = true;
  const process = new ProcessQueue(0);
  const loop = new PullLoop(pullContext(process, {
    pull: () => {
      pulls++;
      return new Promise<never>(() => {});
    },
    mayPull: () => room,
  }));
  const owned = new OwnedQueue(queue, false);
  owned.open({ process, loop });
  return { owned, pulls: () => pulls, room: (yes) => room = yes };
}

function watch(owned: OwnedQueue): { watchdog: Watchdog; events: string[] } {
  const events: string[] = [];
  const hub = new EventHub(false);
  hub.emit = (_level, type) => events.push(type);
  return {
    events,
    watchdog: new Watchdog({
      group: "billing",
      events: hub,
      queues: () => [owned],
    }),
  };
}

Deno.test("Watchdog restarts a loop whose answer is overdue, and says so once", () => {
  const { owned, pulls } = deafQueue();
  const { watchdog, events } = watch(owned);
  owned.loop.start();
  watchdog.check(performance.now() + 30_000);
  assertEquals([pulls(), events], [1, []]);
  watchdog.check(performance.now() + 36_000);
  assertEquals([pulls(), events], [2, ["revived"]]);
  watchdog.check(performance.now());
  assertEquals(pulls(), 2);
  owned.end();
});

Deno.test("Watchdog wakes a loop that stands still though there is room, and leaves one alone that has none", () => {
  const { owned, pulls, room } = deafQueue();
  const { watchdog, events } = watch(owned);
  room(false);
  owned.loop.start();
  watchdog.check(performance.now() + 60_000);
  assertEquals([pulls(), events], [0, []]);
  room(true);
  watchdog.check(performance.now());
  assertEquals(pulls(), 1);
  owned.end();
});
