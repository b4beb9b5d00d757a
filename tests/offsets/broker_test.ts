import { assertEquals, assertRejects } from "@std/assert";
import { OffsetError, OffsetFetchError, ResponseError } from "../../src/errors.ts";
import type { MessageQueue } from "../../src/message.ts";
import { BrokerOffsetStore } from "../../src/offsets/broker.ts";
import { turn } from "../../src/waiting.ts";
import { eventually } from "../transport/waiting.ts";

const queue: MessageQueue = { topic: "orders", broker: "b", queueId: 0 };

/** A broker that keeps offsets, and answers a write when the test lets it. */
class Keeper {
  readonly writes: number[] = [];
  stored: number | undefined;
  failure: unknown;
  registrations = 0;
  #gates: (() => void)[] = [];
  held = false;

  readonly store: BrokerOffsetStore = new BrokerOffsetStore({
    group: "billing",
    register: () => Promise.resolve(this.registrations++),
    brokers: {
      storedOffset: () => this.failure === undefined ? Promise.resolve(this.stored) : Promise.reject(this.failure),
      storeOffset: async (_group, _queue, offset) => {
        this.writes.push(offset);
        if (this.held) await new Promise<void>((resolve) => this.#gates.push(resolve));
        const failure = this.failure;
        if (failure instanceof ResponseError && failure.responseCode === 26) this.failure = undefined;
        if (failure !== undefined) throw failure;
        this.stored = offset;
      },
    },
  });

  release(): void {
    this.#gates.shift()?.();
  }
}

Deno.test("BrokerOffsetStore.read() keeps 'none stored' and 'cannot be asked' apart", async () => {
  const keeper = new Keeper();
  assertEquals(await keeper.store.read(queue, "store"), undefined);
  keeper.stored = 7;
  assertEquals(await keeper.store.read(queue, "memoryThenStore"), 7);
  keeper.failure = new Error("broker is gone");
  const error = await assertRejects(() => keeper.store.read(queue, "store"), OffsetFetchError);
  assertEquals(error.cause, keeper.failure);
});

Deno.test("BrokerOffsetStore.persist() writes what changed, smaller offsets too, and nothing twice", async () => {
  const { store, writes } = new Keeper();
  store.reset(queue, 10);
  await store.persist();
  await store.persist();
  store.update(queue, 4); // no progress
  assertEquals(await store.read(queue, "memory"), 10);
  store.reset(queue, 4);
  await store.persist();
  assertEquals(writes, [10, 4]);
  assertEquals(store.metrics(), { queues: 1, dirty: 0, reads: 0, writes: 2, failures: 0 });
});

Deno.test("BrokerOffsetStore writes again what was stored before a write that failed: that one may be stored too", async () => {
  const keeper = new Keeper();
  const { store, writes } = keeper;
  store.reset(queue, 0);
  await store.persist();
  store.update(queue, 1);
  keeper.failure = new Error("no answer in time");
  await assertRejects(() => store.persist(), OffsetError);
  store.reset(queue, 0);
  await assertRejects(() => store.persist(), OffsetError);
  keeper.failure = undefined;
  await store.persist();
  assertEquals(writes, [0, 1, 0, 0]);
});

Deno.test("BrokerOffsetStore has one write of a queue in flight, and the newest offset follows", async () => {
  const keeper = new Keeper();
  const { store, writes } = keeper;
  keeper.held = true;
  store.reset(queue, 1);
  const first = store.persist();
  store.update(queue, 2);
  const second = store.persist();
  store.update(queue, 3);
  const third = store.persist();
  await eventually(() => writes.length > 0, "the first write has begun");
  assertEquals(writes, [1]);
  keeper.held = false;
  keeper.release();
  await Promise.all([first, second, third]);
  assertEquals(writes, [1, 3]);
});

Deno.test("BrokerOffsetStore lets the first commit of a topic go alone: brokers lose those that come at once", async () => {
  const tables = new Map<string, Map<number, number>>();
  let reads = 0;
  const store = new BrokerOffsetStore({
    group: "billing",
    register: () => Promise.resolve(),
    brokers: {
      storedOffset: (_group, { topic, queueId }) => Promise.resolve((reads++, tables.get(topic)?.get(queueId))),
      async storeOffset(_group, { topic, queueId }, offset) {
        const table = tables.get(topic);
        await turn(); // another request comes in between
        if (table === undefined) tables.set(topic, new Map([[queueId, offset]]));
        else table.set(queueId, offset);
      },
    },
  });
  for (let queueId = 0; queueId < 8; queueId++) {
    store.reset({ ...queue, queueId }, 5);
    store.reset({ ...queue, queueId, topic: "other" }, 6);
  }
  await store.persist();
  assertEquals([...tables].map(([topic, table]) => [topic, table.size]), [["orders", 8], ["other", 8]]);
  assertEquals(reads, 2);
});

Deno.test("BrokerOffsetStore writes a first commit again that another member's has displaced", async () => {
  const writes: number[] = [];
  const store = new BrokerOffsetStore({
    group: "billing",
    register: () => Promise.resolve(),
    brokers: {
      storedOffset: () => Promise.resolve(undefined),
      storeOffset: (_group, _queue, offset) => Promise.resolve(void writes.push(offset)),
    },
  });
  store.reset(queue, 5);
  await store.persist();
  assertEquals(writes, [5, 5]);
  assertEquals(store.metrics().dirty, 0);
});

Deno.test("BrokerOffsetStore.invalidate() makes unchanged offsets be written again", async () => {
  const { store, writes } = new Keeper();
  store.reset(queue, 10);
  await store.persist();
  store.invalidate("another");
  await store.persist();
  store.invalidate("b");
  await store.persist();
  assertEquals(writes, [10, 10]);
});

Deno.test("BrokerOffsetStore registers the group at a broker that does not know it, and writes again", async () => {
  const keeper = new Keeper();
  keeper.failure = new ResponseError("UpdateConsumerOffset", 26, "b:1", "no such group");
  keeper.store.reset(queue, 5);
  await keeper.store.persist();
  assertEquals([keeper.registrations, keeper.writes, keeper.stored], [1, [5, 5], 5]);
});

Deno.test("BrokerOffsetStore keeps what could not be written, and writes nothing for a forgotten queue", async () => {
  const keeper = new Keeper();
  keeper.failure = new Error("broker is gone");
  keeper.store.reset(queue, 5);
  const error = await assertRejects(() => keeper.store.persist([queue]), OffsetError);
  assertEquals([error.cause, keeper.store.metrics().dirty], [keeper.failure, 1]);
  keeper.failure = undefined;
  keeper.store.forget(queue);
  await keeper.store.persist();
  assertEquals(keeper.writes, [5]);
});

Deno.test("BrokerOffsetStore reads what is stored before it writes progress of a queue without a position", async () => {
  const keeper = new Keeper();
  keeper.stored = 10;
  keeper.store.update(queue, 4);
  await keeper.store.persist();
  assertEquals([keeper.writes, await keeper.store.read(queue, "memory")], [[], 10]);
  keeper.store.update(queue, 11);
  await keeper.store.persist();
  assertEquals(keeper.writes, [11]);
});
