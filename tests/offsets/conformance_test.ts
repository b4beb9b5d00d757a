import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { OffsetError, OffsetFetchError, ValidationError } from "../../src/errors.ts";
import type { MessageQueue } from "../../src/message.ts";
import type { LocalOffsetStore, OffsetStoreKind } from "../../src/offsets/local.ts";
import { Place } from "./stores.ts";

const queue: MessageQueue = { topic: "orders", broker: "b", queueId: 0 };
const other: MessageQueue = { ...queue, queueId: 1 };

for (const kind of ["kv", "file", "memory"] as const) testStore(kind);

/** Registers the tests of what every store promises; those that need another life are not for memory. */
function testStore(kind: OffsetStoreKind): void {
  const name = { kv: "KvOffsetStore", file: "FileOffsetStore", memory: "MemoryOffsetStore" }[kind];
  const isDurable = kind !== "memory";

  function test(what: string, run: (store: LocalOffsetStore, place: Place) => Promise<void>, ignore = false): void {
    Deno.test({
      name: `${name} ${what}`,
      ignore,
      fn: async () => {
        await using place = await Place.make();
        await using store = place.store(kind);
        await store.open();
        await run(store, place);
      },
    });
  }

  test("says of what kind it is, and begins without any offset", async (store) => {
    assertEquals(store.kind, kind);
    for (const source of ["memory", "store", "memoryThenStore"] as const) {
      assertEquals(await store.read(queue, source), undefined, source);
    }
    assertEquals(store.metrics(), { queues: 0, dirty: 0, reads: 2, writes: 0, failures: 0 });
  });

  test("keeps in memory what is not persisted, and stores what is", async (store) => {
    store.update(queue, 7);
    assertEquals(await store.read(queue, "memory"), 7);
    assertEquals(await store.read(queue, "memoryThenStore"), 7);
    assertEquals(await store.read(queue, "store"), undefined);
    assertEquals(store.metrics().dirty, 1);
    await store.persist();
    assertEquals(await store.read(queue, "store"), 7);
    store.update(queue, 8);
    assertEquals(await store.read(queue, "store"), 7);
    assertEquals(store.metrics(), { queues: 1, dirty: 1, reads: 3, writes: 1, failures: 0 });
  });

  test("takes progress upwards only, and a position anywhere", async (store) => {
    store.update(queue, 10);
    store.update(queue, 4);
    assertEquals(await store.read(queue, "memory"), 10);
    store.reset(queue, 4);
    await store.persist();
    assertEquals(await store.read(queue, "store"), 4);
    store.update(queue, 6);
    await store.persist();
    assertEquals(await store.read(queue, "store"), 6);
  });

  test("writes what changed, of the queues that are asked for", async (store) => {
    store.update(queue, 1);
    store.update(other, 2);
    await store.persist([queue, queue, { ...queue, topic: "unknown" }]);
    assertEquals([await store.read(queue, "store"), await store.read(other, "store")], [1, undefined]);
    assertEquals(store.metrics(), { queues: 2, dirty: 1, reads: 2, writes: 1, failures: 0 });
    await store.persist();
    await store.persist();
    assertEquals([store.metrics().dirty, store.metrics().writes], [0, 2]);
  });

  test("writes in order when asked many times at once, the newest last", async (store) => {
    const writes: Promise<void>[] = [];
    for (let offset = 1; offset <= 20; offset++) {
      store.update(queue, offset);
      writes.push(store.persist());
    }
    store.reset(queue, 5);
    writes.push(store.persist());
    await Promise.all(writes);
    assertEquals([await store.read(queue, "store"), store.metrics().dirty], [5, 0]);
  });

  test("writes nothing for a queue that it has forgotten, and does not lower what is stored", async (store) => {
    store.update(queue, 9);
    await store.persist();
    store.update(queue, 12);
    store.forget(queue);
    await store.persist();
    assertEquals([await store.read(queue, "memory"), await store.read(queue, "store")], [undefined, 9]);
    store.update(queue, 3);
    await store.persist();
    assertEquals([await store.read(queue, "store"), store.metrics().writes], [9, 1]);
  });

  test("does not write again for a broker that forgets", async (store) => {
    store.update(queue, 1);
    await store.persist();
    store.invalidate("b");
    assertEquals(store.metrics().dirty, 0);
  });

  test("refuses what is no offset", async (store) => {
    for (const offset of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      assertThrows(() => store.update(queue, offset), ValidationError, "offset");
      assertThrows(() => store.reset(queue, offset), ValidationError, "offset");
    }
    await store.persist();
    assertEquals(store.metrics(), { queues: 0, dirty: 0, reads: 0, writes: 0, failures: 0 });
  });

  test("says that it is closed, which may be done twice, and is nothing to read", async (store) => {
    store.update(queue, 1);
    await Promise.all([store.close(), store.close()]);
    assertEquals((await assertRejects(() => store.persist(), OffsetError)).code, "OFFSETS_NOT_OPEN");
    assertEquals((await assertRejects(() => store.read(queue, "store"), OffsetFetchError)).code, "OFFSETS_NOT_OPEN");
    assertEquals((await assertRejects(() => store.open(), OffsetError)).code, "OFFSETS_NOT_OPEN");
  });

  Deno.test(`${name} rejects reads and writes before it is open, and keeps what it was told by then`, async () => {
    await using place = await Place.make();
    await using store = place.store(kind);
    store.update(queue, 3);
    await assertRejects(() => store.read(other, "store"), OffsetFetchError);
    await assertRejects(() => store.persist(), OffsetError);
    await Promise.all([store.open(), store.open()]);
    await store.persist();
    assertEquals(await store.read(queue, "store"), 3);
  });

  test("ends the writes that were asked for before it is closed", async (store, place) => {
    store.update(queue, 1);
    const first = store.persist();
    store.update(queue, 2);
    const second = store.persist();
    await store.close();
    await Promise.all([first, second]);
    await using next = place.store(kind);
    await next.open();
    assertEquals(await next.read(queue, "store"), 2);
  }, !isDurable);

  test("has everything again after a restart, at once", async (store, place) => {
    const strange: MessageQueue = { topic: "%RETRY%a|b", broker: 'a "b" \\ ü/.. \n', queueId: 2 ** 31 - 1 };
    store.update(queue, 2 ** 53 - 1);
    store.reset(other, 0);
    store.update(strange, 5);
    await store.persist();
    store.update(queue, 2 ** 53 - 1);
    store.update(other, 7); // not persisted
    await store.close();
    await using next = place.store(kind, { leaseTimeout: 60_000 });
    await next.open();
    const read = [queue, other, strange].map((each) => next.read(each, "memoryThenStore"));
    assertEquals(await Promise.all(read), [2 ** 53 - 1, 0, 5]);
    assertEquals(await next.read(queue, "memory"), undefined);
  }, !isDurable);

  test("does not lower by progress what a life before has stored, but by a position", async (store, place) => {
    store.update(queue, 10);
    store.update(other, 10);
    await store.persist();
    await store.close();
    await using next = place.store(kind);
    next.update(queue, 1);
    await next.open();
    next.update(queue, 4);
    next.update(other, 4);
    await next.persist();
    assertEquals([await next.read(queue, "store"), await next.read(other, "store")], [10, 10]);
    assertEquals(next.metrics().writes, 0);
    next.reset(queue, 4);
    await next.persist();
    assertEquals(await next.read(queue, "store"), 4);
  }, !isDurable);

  test("shares a place with other instances", async (store, place) => {
    await using blue = place.store(kind, { instance: "blue" });
    await blue.open();
    store.update(queue, 1);
    blue.update(queue, 2);
    await Promise.all([store.persist(), blue.persist()]);
    assertEquals([await store.read(queue, "store"), await blue.read(queue, "store")], [1, 2]);
  }, !isDurable);
}
