/** The bookkeeping above stores that users implement. */

import { assertEquals, assertFalse, assertRejects, assertStrictEquals } from "@std/assert";
import { OffsetError, OffsetFetchError } from "../../src/errors.ts";
import type { MessageQueue } from "../../src/message.ts";
import { MemoryOffsetStore } from "../../src/offsets/memory.ts";
import { OffsetTable } from "../../src/offsets/offset_table.ts";
import type { OffsetStore, QueueOffset } from "../../src/offsets/store.ts";
import { fromJavaScript } from "../untyped.ts";

const queue: MessageQueue = { topic: "orders", broker: "b", queueId: 0 };
const other: MessageQueue = { ...queue, queueId: 1 };

/** The smallest store that a user can write, and what was called of it. */
class UserStore implements OffsetStore {
  readonly stored = new Map<number, number>();
  readonly calls: string[] = [];
  /** Called within every write; what it throws or rejects with is the write's failure. */
  onWrite: () => unknown = () => {};
  /** How many writes are under way. */
  writing = 0;

  read({ queueId }: MessageQueue): number | undefined {
    this.calls.push(`read ${queueId}`);
    return this.stored.get(queueId);
  }

  async write(offsets: readonly QueueOffset[]): Promise<void> {
    this.calls.push(`write ${offsets.map(({ queue, offset }) => `${queue.queueId}:${offset}`)}`);
    this.writing++;
    try {
      await this.onWrite();
      for (const { queue, offset } of offsets) this.stored.set(queue.queueId, offset);
    } finally {
      this.writing--;
    }
  }

  close(): void {
    this.calls.push("close");
  }
}

Deno.test("OffsetTable calls read, write and close of a store, and needs no open()", async () => {
  const store = new UserStore();
  store.stored.set(0, 7);
  const table = new OffsetTable(store);
  assertEquals(await table.read(queue), 7);
  table.reset(queue, 7);
  table.update(queue, 9);
  table.update(queue, 8);
  table.reset(other, 3);
  assertEquals([await table.read(queue, "memory"), await table.read(queue, "memoryThenStore")], [9, 9]);
  await table.persist();
  await table.persist();
  await Promise.all([table.close(), table.close()]);
  assertEquals(store.calls, ["read 0", "write 0:9,1:3", "close"]);
  assertEquals(table.metrics(), { queues: 2, dirty: 0, reads: 1, writes: 2, failures: 0 });
  assertEquals((await assertRejects(() => table.persist(), OffsetError)).code, "OFFSETS_NOT_OPEN");
  assertEquals((await assertRejects(() => table.read(queue), OffsetFetchError)).code, "OFFSETS_NOT_OPEN");
});

Deno.test("OffsetTable.of() takes a table as it is, and puts one above any other store", () => {
  const own = new MemoryOffsetStore();
  assertStrictEquals(OffsetTable.of(own), own);
  assertFalse(OffsetTable.of(new UserStore()) instanceof MemoryOffsetStore);
});

Deno.test("OffsetTable stands above a store that hands on to one of ours", async () => {
  const own = new MemoryOffsetStore();
  await using table = new OffsetTable({
    open: () => own.open(),
    read: (queue) => own.read(queue),
    write: (offsets) => own.write(offsets),
    close: () => own.close(),
  });
  table.update(queue, 5);
  await assertRejects(() => table.persist(), OffsetError, "not open");
  await table.open();
  await table.persist();
  assertEquals([await table.read(queue), await own.read(queue, "store"), own.metrics().writes], [5, 5, 1]);
});

Deno.test("OffsetTable has one write in flight: what changes meanwhile is written together by the next", async () => {
  const store = new UserStore();
  const table = new OffsetTable(store);
  const first = Promise.withResolvers<void>();
  store.onWrite = () => first.promise;
  table.reset(queue, 1);
  const persisted = [table.persist()];
  for (let offset = 2; offset <= 5; offset++) {
    table.update(queue, offset);
    table.reset(other, offset);
    persisted.push(table.persist([offset % 2 === 0 ? queue : other]));
  }
  const closed = table.close();
  assertEquals([store.calls, store.writing], [["write 0:1"], 1]);
  first.resolve();
  await Promise.all(persisted);
  await closed;
  assertEquals(store.calls, ["write 0:1", "write 0:5,1:5", "close"]);
});

Deno.test("OffsetTable with perQueue has one write of each queue in flight", async () => {
  const store = new UserStore();
  await using table = new OffsetTable(store, { perQueue: true });
  const slow = Promise.withResolvers<void>();
  store.onWrite = () => store.calls.at(-1) === "write 0:1" ? slow.promise : undefined;
  table.reset(queue, 1);
  const first = table.persist();
  table.update(queue, 2);
  table.reset(other, 3);
  const second = table.persist();
  await table.persist([other]);
  assertEquals([store.calls, store.stored.get(1)], [["write 0:1", "write 1:3"], 3]);
  slow.resolve();
  await Promise.all([first, second]);
  assertEquals([store.calls.at(-1), store.stored.get(0)], ["write 0:2", 2]);
});

Deno.test("OffsetTable writes a queue that was forgotten during a write after that write", async () => {
  const store = new UserStore();
  await using table = new OffsetTable(store, { perQueue: true });
  const slow = Promise.withResolvers<void>();
  store.onWrite = () => store.writing === 1 ? slow.promise : undefined;
  table.reset(queue, 10);
  const first = table.persist();
  table.forget(queue);
  assertEquals([table.metrics().queues, await table.read(queue, "memory")], [0, undefined]);
  table.update(queue, 4); // less than what is being written
  const second = table.persist();
  assertEquals(store.writing, 1);
  slow.resolve();
  await Promise.all([first, second]);
  assertEquals([store.calls, store.stored.get(0)], [["write 0:10"], 10]);
  table.forget(queue);
  assertEquals(table.metrics(), { queues: 0, dirty: 0, reads: 0, writes: 1, failures: 0 });
});

Deno.test("OffsetTable writes everything again after a write that failed, as it may be stored all the same", async () => {
  const store = new UserStore();
  await using table = new OffsetTable(store);
  table.reset(queue, 1);
  await table.persist();
  const failure = new RangeError("disk is full");
  for (
    const fail of [() => Promise.reject(failure), () => ({ then: () => thrown(failure) })]
  ) {
    store.onWrite = fail;
    table.update(queue, 2);
    const error = await assertRejects(
      () => table.persist(),
      OffsetError,
      "Cannot store the offset of orders@b@0: disk",
    );
    assertEquals([error.code, error.retriable, error.cause], ["OFFSET_STORE_FAILED", true, failure]);
    store.onWrite = () => {};
    table.reset(queue, 1);
    await table.persist();
    assertEquals(store.calls.at(-1), "write 0:1");
  }
  assertEquals(table.metrics().failures, 2);
});

Deno.test("OffsetTable takes nothing but an offset from a store, and none for a negative one", async () => {
  const store = new UserStore();
  await using table = new OffsetTable({
    read: () => fromJavaScript(answers.shift()?.()),
    write: (offsets) => store.write(offsets),
    close: () => {},
  });
  const answers: (() => unknown)[] = [() => undefined, () => null, () => -1, () => Promise.resolve(-3)];
  while (answers.length > 0) assertEquals(await table.read(queue), undefined);
  for (const nonsense of ["7", 7.5, NaN, Infinity, 7n, {}, Symbol("s"), [7], true]) {
    answers.push(() => nonsense, () => Promise.resolve(nonsense));
    for (let left = 2; left > 0; left--) {
      assertEquals((await assertRejects(() => table.read(queue), OffsetFetchError)).code, "OFFSETS_MALFORMED");
    }
  }
  const failure = new RangeError("on purpose");
  answers.push(() => thrown(failure), () => Promise.reject(failure));
  for (let left = 2; left > 0; left--) {
    const error = await assertRejects(() => table.read(queue), OffsetFetchError, "orders@b@0: on purpose");
    assertEquals([error.code, error.retriable, error.cause], ["OFFSET_FETCH_FAILED", true, failure]);
  }
});

Deno.test("OffsetTable.open() says why a store cannot be opened, and opens it again", async () => {
  let attempts = 0;
  const store = { read: () => undefined, write: () => {}, close: () => {} };
  await using table = new OffsetTable({ ...store, open: () => ++attempts === 1 ? thrown(new RangeError("no")) : 0 });
  const error = await assertRejects(() => table.open(), OffsetError, "Cannot open the offsets: no");
  assertEquals([error.code, error.retriable], ["OFFSETS_UNAVAILABLE", true]);
  await Promise.all([table.open(), table.open()]);
  assertEquals(attempts, 2);
});

Deno.test("OffsetTable.close() ends the wait of open()", async () => {
  const store = { read: () => undefined, write: () => {}, close: () => closed++ };
  let closed = 0;
  const open = (signal: AbortSignal) => new Promise((_, reject) => signal.onabort = () => reject(signal.reason));
  const table = new OffsetTable({ ...store, open });
  const opening = assertRejects(() => table.open(), OffsetError);
  await table.close();
  assertEquals([(await opening).code, closed], ["OFFSETS_NOT_OPEN", 1]);
});

function thrown(error: Error): never {
  throw error;
}
