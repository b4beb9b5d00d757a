import { assert, assertEquals, assertFalse, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { ConfigError, OffsetError, OffsetFetchError } from "../../src/errors.ts";
import type { MessageQueue } from "../../src/message.ts";
import { KvOffsetStore } from "../../src/offsets/kv.ts";
import { eventually } from "../transport/waiting.ts";
import { fromJavaScript } from "../untyped.ts";
import { Place, type WatchedKv, watchedKv } from "./stores.ts";

const queue: MessageQueue = { topic: "orders", broker: "b", queueId: 0 };
const other: MessageQueue = { ...queue, queueId: 1 };
const leaseKey = ["rocketmq", "billing", "default"];
const offsetKey = [...leaseKey, "orders", "b", 0];
/** Of a member that does not renew its lease by itself during a test. */
const calm = { group: "billing", leaseTimeout: 60_000 };

Deno.test("KvOffsetStore stores values with a version, under group, instance and queue", async () => {
  await using kv = await watchedKv();
  await using store = new KvOffsetStore({ ...calm, kv });
  await store.open();
  store.update(queue, 12);
  await store.persist();
  const [lease, offset, ...others] = await kv.all();
  assertEquals([lease?.key, offset?.key, others], [leaseKey, offsetKey, []]);
  assertEquals(offset?.value, { version: 1, offset: 12 });
  await store.close();
  assertEquals((await kv.all()).map(({ key }) => key), [offsetKey]);
  assertFalse(kv.isClosed);
});

Deno.test("KvOffsetStore puts keys behind a prefix", async () => {
  await using kv = await watchedKv();
  await using store = new KvOffsetStore({ ...calm, kv, instance: "blue", prefix: ["a", "b"] });
  await store.open();
  assertEquals((await kv.all()).map(({ key }) => key), [["a", "b", "billing", "blue"]]);
});

Deno.test("KvOffsetStore divides 2 500 queues into atomic writes, and long names into smaller ones", async () => {
  await using kv = await watchedKv();
  await using store = new KvOffsetStore({ ...calm, kv });
  await store.open();
  for (let queueId = 0; queueId < 2_500; queueId++) store.update({ ...queue, queueId }, queueId);
  await store.persist();
  assertEquals(kv.commits.slice(1).sort(), [1_000, 1_000, 500]); // two at a time, so in any order
  kv.commits.length = 0;
  const broker = "ü".repeat(800);
  for (let queueId = 0; queueId < 1_000; queueId++) store.update({ ...queue, broker, queueId }, queueId);
  await store.persist();
  assertEquals(kv.commits.reduce((sum, each) => sum + each, 0), 1_000);
  assertEquals(Math.max(...kv.commits), 47);
  await store.close();
  await using next = new KvOffsetStore({ ...calm, kv });
  await next.open();
  assertEquals(await next.read({ ...queue, queueId: 2_499 }, "store"), 2_499);
  assertEquals(await next.read({ ...queue, broker, queueId: 999 }, "store"), 999);
});

Deno.test("KvOffsetStore.open() takes over from a dead member, when its lease has run out", async () => {
  await using kv = await watchedKv();
  await using store = new KvOffsetStore({ group: "billing", kv, leaseTimeout: 100 });
  await writeLease(kv, "dead", 200);
  const start = performance.now();
  await store.open();
  assert(performance.now() - start >= 200);
  store.update(queue, 1);
  await store.persist();
  assertEquals(store.metrics().writes, 1);
});

Deno.test("KvOffsetStore renews its lease in the background, so that it keeps it", async () => {
  await using kv = await watchedKv();
  await using store = new KvOffsetStore({ group: "billing", kv, leaseTimeout: 100 });
  await store.open();
  await eventually(() => kv.commits.length >= 4, "three renewals");
  store.update(queue, 1);
  await store.persist();
});

Deno.test("KvOffsetStore writes nothing once another member has the lease, and leaves that one's alone", async () => {
  await using kv = await watchedKv();
  await using store = new KvOffsetStore({ ...calm, kv });
  await store.open();
  store.update(queue, 1);
  await store.persist();
  store.update(queue, 2);
  kv.onCommit = () => writeLease(kv, "another");
  const error = await assertRejects(() => store.persist(), OffsetError);
  assertEquals([error.code, error.retriable], ["OFFSETS_TAKEN", false]);
  assertStringIncludes(error.message, '"billing", instance "default"');
  assertEquals((await kv.get(offsetKey)).value, { version: 1, offset: 1 });
  kv.onCommit = () => {};
  assertEquals((await assertRejects(() => store.persist(), OffsetError)).code, "OFFSETS_TAKEN");
  assertEquals(store.metrics(), { queues: 1, dirty: 1, reads: 0, writes: 1, failures: 2 });
  await store.close();
  assertEquals(await ownerOf(kv), "another");
});

Deno.test("KvOffsetStore writes nothing once its lease is gone", async () => {
  await using kv = await watchedKv();
  await using store = new KvOffsetStore({ ...calm, kv });
  await store.open();
  await kv.atomic().delete(leaseKey).commit();
  store.update(queue, 1);
  assertEquals((await assertRejects(() => store.persist(), OffsetError)).code, "OFFSETS_TAKEN");
  assertEquals((await kv.get(offsetKey)).value, null);
});

Deno.test("KvOffsetStore writes though its lease is renewed meanwhile", async () => {
  await using kv = await watchedKv();
  await using store = new KvOffsetStore({ ...calm, kv });
  await store.open();
  const owner = await ownerOf(kv);
  kv.onCommit = async () => {
    kv.onCommit = () => {};
    await writeLease(kv, owner);
  };
  store.update(queue, 1);
  await store.persist();
  assertEquals((await kv.get(offsetKey)).value, { version: 1, offset: 1 });
});

Deno.test("KvOffsetStore.persist() waits while another program is writing", async () => {
  await using kv = await watchedKv();
  await using store = new KvOffsetStore({ ...calm, kv });
  await store.open();
  let attempts = 0;
  kv.onCommit = () => {
    if (++attempts < 3) throw new TypeError("database is locked");
  };
  store.update(queue, 1);
  await store.persist();
  assertEquals([attempts, store.metrics().failures], [3, 0]);
});

Deno.test("KvOffsetStore.persist() keeps what could not be written, and writes that alone", async () => {
  await using kv = await watchedKv();
  await using store = new KvOffsetStore({ ...calm, kv });
  await store.open();
  const failure = new Error("disk is full");
  let commits = 0;
  kv.onCommit = () => {
    if (++commits === 2) throw failure;
  };
  for (let queueId = 0; queueId < 1_500; queueId++) store.update({ ...queue, queueId }, 5);
  const error = await assertRejects(() => store.persist(), OffsetError);
  assertEquals([error.code, error.retriable, error.cause], ["OFFSET_STORE_FAILED", true, failure]);
  assertEquals(store.metrics(), { queues: 1_500, dirty: 1_500, reads: 0, writes: 0, failures: 1 });
  await store.persist();
  assertEquals([store.metrics().dirty, kv.commits.at(-1)], [0, 500]);
});

Deno.test("KvOffsetStore does not lower what a write has stored whose answer was lost", async () => {
  await using kv = await watchedKv();
  await using store = new KvOffsetStore({ ...calm, kv });
  await store.open();
  kv.onCommit = async () => {
    await kv.atomicUnwatched().set(offsetKey, { version: 1, offset: 9 }).commit();
    throw new Error("connection is gone");
  };
  store.update(queue, 9);
  await assertRejects(() => store.persist(), OffsetError);
  kv.onCommit = () => {};
  store.forget(queue);
  store.update(queue, 4);
  await store.persist();
  assertEquals((await kv.get(offsetKey)).value, { version: 1, offset: 9 });
});

Deno.test("KvOffsetStore takes no value that it does not understand for 'no offset', nor writes progress over it", async () => {
  const values = [null, 7, "7", {}, [1, 7], { version: 2, offset: 7 }, { version: 1 }, { version: 1, offset: -1 }];
  for (const value of [...values, { version: 1, offset: 7.5 }, { version: 1, offset: 7n }]) {
    await using kv = await watchedKv();
    await kv.atomic().set(offsetKey, value).commit();
    await using store = new KvOffsetStore({ ...calm, kv });
    await store.open();
    for (const source of ["store", "memoryThenStore"] as const) {
      const error = await assertRejects(() => store.read(queue, source), OffsetFetchError);
      assertEquals(error.code, "OFFSETS_MALFORMED");
      assertStringIncludes(error.message, "orders@b@0");
    }
    store.update(queue, 8);
    store.update(other, 9);
    const error = await assertRejects(() => store.persist(), OffsetError);
    assertEquals([error.code, error.retriable], ["OFFSET_STORE_FAILED", false]);
    assertEquals((await kv.get(offsetKey)).value, value);
    assertEquals([await store.read(other, "store"), store.metrics().dirty], [9, 1]);
    store.reset(queue, 3);
    await store.persist();
    assertEquals(await store.read(queue, "store"), 3);
  }
});

Deno.test("KvOffsetStore.open() rejects keys and leases of an unknown form, and holds nothing then", async () => {
  for (
    const [key, value] of [
      [[...leaseKey, "orders"], { version: 1, offset: 1 }],
      [[...leaseKey, "orders", "b", "0"], { version: 1, offset: 1 }],
      [leaseKey, { version: 2, owner: "x", timeout: 1 }],
      [leaseKey, "x"],
    ] as const
  ) {
    await using kv = await watchedKv();
    await kv.atomic().set(key, value).commit();
    await using store = new KvOffsetStore({ ...calm, kv });
    const error = await assertRejects(() => store.open(), OffsetFetchError);
    assertEquals(error.code, "OFFSETS_MALFORMED");
    assertEquals((await kv.all()).length, 1);
    assertEquals((await assertRejects(() => store.read(queue, "store"), OffsetError)).code, "OFFSETS_NOT_OPEN");
    await kv.atomic().delete(key).commit();
    await store.open();
  }
});

Deno.test("KvOffsetStore.open() says if the database cannot be used, and can be tried again", async () => {
  await using place = await Place.make();
  await using store = new KvOffsetStore({ group: "billing", path: `${place.folder}/sub/kv.sqlite` });
  const error = await assertRejects(() => store.open(), OffsetError);
  assertEquals([error.code, error.retriable], ["OFFSETS_UNAVAILABLE", true]);
  await Deno.mkdir(`${place.folder}/sub`);
  await store.open();
});

Deno.test("KvOffsetStore names every option that is wrong", () => {
  const options = { group: "a b", instance: "", leaseTimeout: 99, kv: {}, path: "x", prefix: "p", colour: "blue" };
  const error = assertThrows(() => new KvOffsetStore(fromJavaScript(options)), ConfigError);
  const fields = error.problems.map(({ field }) => field).sort();
  assertEquals(fields, ["colour", "group", "instance", "kv", "leaseTimeout", "path", "prefix"]);
});

async function writeLease(kv: WatchedKv, owner: string, timeout = 60_000): Promise<void> {
  await kv.atomicUnwatched().set(leaseKey, { version: 1, owner, renewals: 0, timeout }).commit();
}

async function ownerOf(kv: WatchedKv): Promise<string> {
  return ((await kv.get(leaseKey)).value as { owner: string }).owner;
}
