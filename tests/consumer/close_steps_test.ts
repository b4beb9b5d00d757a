/** Closing takes all its steps, whichever of them fails: the group is left, the client knows nothing of it any more. */

import { assert, assertEquals } from "@std/assert";
import { type Client, connect, type StatusEvent } from "../../mod.ts";
import { Membership } from "../../src/cluster/membership.ts";
import { NameServers } from "../../src/cluster/name_servers.ts";
import { Routes } from "../../src/cluster/routes.ts";
import { Assignment } from "../../src/consumer/assignment/assignment.ts";
import { ConcurrentSettlement } from "../../src/consumer/delivery/concurrent_settlement.ts";
import { Dispatcher } from "../../src/consumer/delivery/dispatcher.ts";
import { GroupSubscriptions } from "../../src/consumer/group/subscriptions.ts";
import { GroupWatch } from "../../src/consumer/group/watch.ts";
import { Tracer } from "../../src/telemetry/tracer.ts";
import { OrderedSettlement } from "../../src/consumer/delivery/ordered_settlement.ts";
import { PopPlaces } from "../../src/consumer/pop/places.ts";
import { PopReturns } from "../../src/consumer/pop/returns.ts";
import { PopSettlement } from "../../src/consumer/pop/settlement.ts";
import { PopSources } from "../../src/consumer/pop/sources.ts";
import { QueueLocks } from "../../src/consumer/assignment/queue_locks.ts";
import { Rebalancer } from "../../src/consumer/assignment/rebalancer.ts";
import { StandstillWatch } from "../../src/consumer/diagnosis/standstill.ts";
import { Watchdog } from "../../src/consumer/queue/watchdog.ts";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { BrokerOffsetStore } from "../../src/offsets/broker.ts";
import { MemoryOffsetStore } from "../../src/offsets/memory.ts";
import { Sender } from "../../src/sending/sender.ts";
import { waitUntil } from "../behaviour/harness.ts";
import { Unheard } from "../transport/waiting.ts";

/** Something that can be closed, and the group that it is in, if it is in one. */
interface Closable {
  close(): Promise<void>;
}

/** How each is opened, and the steps of its end: class and method. */
const table: Record<string, {
  readonly open: (mq: Client) => Promise<Closable>;
  readonly steps: readonly (readonly [{ readonly name: string; readonly prototype: object }, string])[];
}> = {
  "a consumer": {
    open: (mq) => mq.consumer({ group: "billing", topics: "orders", trace: true, closeTimeout: 10_000 }),
    steps: [
      [Rebalancer, "stop"],
      [Assignment, "stop"],
      [Assignment, "whenIdle"],
      [Assignment, "end"],
      [Dispatcher, "close"],
      [Watchdog, "stop"],
      [StandstillWatch, "stop"],
      [GroupWatch, "stop"],
      [GroupSubscriptions, "stop"],
      [ConcurrentSettlement, "close"],
      [Tracer, "close"],
      [BrokerOffsetStore, "close"],
      [Membership, "removeConsumer"],
    ],
  },
  "an orderly consumer": {
    open: (mq) => mq.consumer({ group: "billing", topics: "orders", ordering: "orderly", closeTimeout: 10_000 }),
    steps: [[QueueLocks, "close"], [OrderedSettlement, "close"]],
  },
  "a POP consumer": {
    open: (mq) => mq.popConsumer({ group: "billing", topics: "orders", trace: true, closeTimeout: 10_000 }),
    steps: [
      [Dispatcher, "close"],
      [PopSources, "stop"],
      [PopPlaces, "stop"],
      [GroupSubscriptions, "stop"],
      [PopSettlement, "whenIdle"],
      [PopReturns, "giveUp"],
      [PopSettlement, "close"],
      [Tracer, "close"],
      [Membership, "removeConsumer"],
    ],
  },
  "a reader": {
    open: (mq) => mq.reader({ topic: "orders" }),
    steps: [
      [Assignment, "stop"],
      [Dispatcher, "close"],
      [Watchdog, "stop"],
      [StandstillWatch, "stop"],
      [Assignment, "end"],
      [ConcurrentSettlement, "close"],
      [MemoryOffsetStore, "close"],
    ],
  },
  "a producer": {
    open: (mq) => mq.producer({ group: "senders" }),
    steps: [[Sender, "stop"], [Membership, "removeProducer"]],
  },
  "a client": {
    open: (mq) => Promise.resolve(mq),
    steps: [[Routes, "stop"], [Membership, "stop"], [NameServers, "close"]],
  },
};

/** Makes a method do its work and fail then, until what is returned is disposed of. */
function failing(prototype: object, name: string, how: "throws" | "rejects") {
  const calls = { count: 0 };
  const owner = ownerOf(prototype, name);
  const original = Object.getOwnPropertyDescriptor(owner, name)!;
  const value = function (this: unknown, ...args: unknown[]): unknown {
    calls.count++;
    const result: unknown = Reflect.apply(original.value, this, args);
    const fail = () => {
      throw new RangeError(`${name} fails`);
    };
    return how === "throws" ? fail() : Promise.resolve(result).then(fail);
  };
  Object.defineProperty(owner, name, { ...original, value });
  return { calls, [Symbol.dispose]: () => void Object.defineProperty(owner, name, original) };
}

function ownerOf(prototype: object, name: string): object {
  return Object.hasOwn(prototype, name) ? prototype : ownerOf(Object.getPrototypeOf(prototype), name);
}

for (const [what, { open, steps }] of Object.entries(table)) {
  Deno.test(`${what} closes in full, whichever step fails`, async () => {
    using unheard = new Unheard();
    await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 2 } } });
    for (const [{ name: owner, prototype }, step] of steps) {
      for (const how of ["throws", "rejects"] as const) {
        const title = `${owner}.${step} ${how}`;
        const mq = await connect({ nameServers: broker.nameServer, logger: false });
        const events: StatusEvent[] = [];
        const status = mq.status();
        const reading = (async () => {
          for await (const event of status) events.push(event);
        })();
        const opened = await open(mq);
        {
          using failed = failing(prototype, step, how);
          await opened.close();
          assert(failed.calls.count > 0, `${title} was called`);
        }
        await waitUntil(() => broker.members("billing").length === 0, { what: `${title}: the group is left` });
        if (what !== "a client") await (await open(mq)).close(); // nothing is left that would forbid it
        await mq.close();
        await reading;
        const isTold = events.some(({ error }) => String(error).includes(`${step} fails`) || hasCause(error, step));
        assert(isTold, `${title} is an event`);
      }
    }
    assertEquals(await unheard.reported(), []);
  });
}

function hasCause(error: unknown, step: string): boolean {
  return error instanceof Error && String(error.cause).includes(`${step} fails`);
}
