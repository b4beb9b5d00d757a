import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { OffsetError } from "../../src/errors.ts";
import type { MessageQueue } from "../../src/message.ts";
import { Lease, type LeasePlace, type SeenLease } from "../../src/offsets/lease.ts";
import { eventually } from "../transport/waiting.ts";
import { Place } from "./stores.ts";

const queue: MessageQueue = { topic: "orders", broker: "b", queueId: 0 };
const subject = { group: "billing", instance: "default" };
const { signal } = new AbortController();

/** A place in memory, for several members. */
class Board {
  owner: string | undefined;
  mark = 0;
  timeout = 100;
  looks = 0;
  renewals = 0;
  failures = 0;
  onLook: () => void = () => {};

  place(owner: string): LeasePlace {
    return {
      read: () => {
        this.looks++;
        this.onLook();
        return Promise.resolve(this.#seen());
      },
      acquire: (seen) => {
        const isSame = seen?.mark === this.#seen()?.mark;
        if (isSame) [this.owner, this.mark] = [owner, this.mark + 1];
        return Promise.resolve(isSame);
      },
      renew: () => {
        if (this.failures-- > 0) return Promise.reject(new Error("disk is gone"));
        this.renewals++;
        if (this.owner === owner) this.mark++;
        return Promise.resolve(this.owner === owner);
      },
      release: () => {
        if (this.owner === owner) this.owner = undefined;
        return Promise.resolve();
      },
    };
  }

  #seen(): SeenLease | undefined {
    return this.owner === undefined ? undefined : { mark: `${this.mark}`, timeout: this.timeout };
  }
}

Deno.test("Lease.acquire() has a free lease at once, and renews it until it is released", async () => {
  const board = new Board();
  const lease = new Lease(board.place("a"), subject, 15);
  await lease.acquire(signal);
  assertEquals([board.looks, board.owner], [1, "a"]);
  board.failures = 1; // the next one comes all the same
  await eventually(() => board.renewals >= 3, "renewals");
  await lease.release();
  assertEquals(board.owner, undefined);
});

Deno.test("Lease.acquire() waits as long as a dead owner's lease lives, if that is longer than its own", async () => {
  const board = new Board();
  [board.owner, board.timeout] = ["dead", 150];
  const start = performance.now();
  const lease = new Lease(board.place("a"), subject, 20);
  await lease.acquire(signal);
  assert(performance.now() - start >= 150);
  assertEquals(board.owner, "a");
  await lease.release();
});

Deno.test("Lease.acquire() has a lease at once that is given up while it waits", async () => {
  const board = new Board();
  [board.owner, board.timeout] = ["closing", 600_000];
  board.onLook = () => board.looks === 2 && (board.owner = undefined);
  const lease = new Lease(board.place("a"), subject, 100);
  await lease.acquire(signal);
  await lease.release();
  assertEquals(board.looks, 2);
});

Deno.test("Lease.acquire() rejects when the owner shows that it lives", async () => {
  const board = new Board();
  board.owner = "alive";
  board.onLook = () => board.looks === 3 && board.mark++;
  const lease = new Lease(board.place("a"), { group: "billing", instance: "blue" }, 1_000);
  const error = await assertRejects(() => lease.acquire(signal), OffsetError);
  assertEquals([error.code, board.looks, board.owner], ["OFFSETS_IN_USE", 3, "alive"]);
  assertStringIncludes(error.message, '"billing", instance "blue"');
  assertStringIncludes(error.message, 'another "instance"');
});

Deno.test("Lease.acquire() lets one have it of many who wait for a dead owner's", async () => {
  const board = new Board();
  board.owner = "dead";
  const leases = ["a", "b", "c"].map((owner) => new Lease(board.place(owner), subject, 100));
  const results = await Promise.allSettled(leases.map((lease) => lease.acquire(signal)));
  assertEquals(results.filter(({ status }) => status === "fulfilled").length, 1);
  const codes = results.map((result) => result.status === "rejected" ? result.reason.code : "");
  assertEquals(codes.filter((code) => code === "OFFSETS_IN_USE").length, 2);
  for (const lease of leases) await lease.release();
});

Deno.test("Lease.acquire() lets one have it of many who find it free", async () => {
  const board = new Board();
  const leases = ["a", "b", "c"].map((owner) => new Lease(board.place(owner), subject, 100));
  const results = await Promise.allSettled(leases.map((lease) => lease.acquire(signal)));
  assertEquals(results.filter(({ status }) => status === "fulfilled").length, 1);
  for (const lease of leases) await lease.release();
});

Deno.test("Lease.acquire() ends with the signal's reason", async () => {
  const board = new Board();
  [board.owner, board.timeout] = ["dead", 600_000];
  const stop = new AbortController();
  const taking = new Lease(board.place("a"), subject, 100).acquire(stop.signal);
  await eventually(() => board.looks >= 1, "a look");
  const reason = new TypeError("stop");
  stop.abort(reason);
  assertEquals(await taking.catch((error) => error), reason);
});

Deno.test("Lease stops renewing what is lost", async () => {
  const board = new Board();
  const lease = new Lease(board.place("a"), subject, 15);
  await lease.acquire(signal);
  board.owner = "b";
  await eventually(() => board.renewals >= 1, "a renewal");
  await lease.release();
  assertEquals(board.owner, "b");
});

for (const kind of ["kv", "file"] as const) {
  const name = kind === "kv" ? "KvOffsetStore" : "FileOffsetStore";

  Deno.test(`${name}.open() is refused while another member lives, and succeeds when that has closed`, async () => {
    await using place = await Place.make();
    await using first = place.store(kind, { leaseTimeout: 1_500 });
    await using second = place.store(kind, { leaseTimeout: 100 });
    await first.open();
    const error = await assertRejects(() => second.open(), OffsetError);
    assertEquals(error.code, "OFFSETS_IN_USE");
    first.update(queue, 3);
    await first.persist();
    await first.close();
    await second.open();
    assertEquals(await second.read(queue, "store"), 3);
  });

  Deno.test(`${name}.close() ends a wait for another member`, async () => {
    await using place = await Place.make();
    await using first = place.store(kind, { leaseTimeout: 60_000 });
    await using second = place.store(kind);
    await first.open();
    const opening = assertRejects(() => second.open(), OffsetError);
    await second.close();
    assertEquals((await opening).code, "OFFSETS_NOT_OPEN");
  });
}
