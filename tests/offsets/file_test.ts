import { assert, assertEquals, assertFalse, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { ConfigError, OffsetError, OffsetFetchError } from "../../src/errors.ts";
import type { MessageQueue } from "../../src/message.ts";
import { FileOffsetStore } from "../../src/offsets/file.ts";
import { eventually } from "../transport/waiting.ts";
import { fromJavaScript } from "../untyped.ts";
import { Place } from "./stores.ts";

const queue: MessageQueue = { topic: "orders", broker: "b", queueId: 0 };
const other: MessageQueue = { ...queue, queueId: 1 };

const file = `{
  "version": 1,
  "group": "billing",
  "instance": "default",
  "offsets": [
    { "topic": "orders", "broker": "b", "queueId": 0, "offset": 7 },
    { "topic": "orders", "broker": "b", "queueId": 1, "offset": 8 }
  ]
}
`;

/** A folder with a store's files, and stores that use them. */
class Files {
  readonly place: Place;
  readonly path: string;

  static async make(text?: string, backup?: string): Promise<Files> {
    const files = new Files(await Place.make());
    await Deno.mkdir(join(files.place.folder, "billing"));
    if (text !== undefined) await Deno.writeTextFile(files.path, text);
    if (backup !== undefined) await Deno.writeTextFile(`${files.path}.bak`, backup);
    return files;
  }

  private constructor(place: Place) {
    this.place = place;
    this.path = join(place.folder, "billing", "default.json");
  }

  store(leaseTimeout = 60_000): FileOffsetStore {
    return new FileOffsetStore({ group: "billing", path: this.place.folder, leaseTimeout });
  }

  text(ending = ""): Promise<string> {
    return Deno.readTextFile(this.path + ending);
  }

  /** The folder of the member that has the lease. */
  async owner(): Promise<string> {
    const [entry, ...others] = await Array.fromAsync(Deno.readDir(`${this.path}.lock`));
    assertEquals(others, []);
    return entry!.name;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.place[Symbol.asyncDispose]();
  }
}

Deno.test("FileOffsetStore writes a file that people can read, and keeps the one before", async () => {
  await using files = await Files.make();
  await using store = files.store();
  await store.open();
  store.update(other, 8);
  await store.persist();
  const first = await files.text();
  assertStringIncludes(first, '\n    { "topic": "orders", "broker": "b", "queueId": 1, "offset": 8 }\n');
  await assertRejects(() => files.text(".bak"), Deno.errors.NotFound);
  store.update(queue, 7);
  await store.persist();
  assertEquals([await files.text(), await files.text(".bak")], [file, first]);
  await store.close();
  assertEquals([await files.owner(), store.usesBackup], ["free", false]);
});

Deno.test("FileOffsetStore reads a file that was edited by hand", async () => {
  const edited = `{"offsets": [ {"offset":3, "why":"see ticket 5", "queueId":0, "broker":"b", "topic":"orders"} ],
    "instance": "default", "group": "billing", "version": 1, "note": "do not ask"}`;
  await using files = await Files.make(edited, file);
  await using store = files.store();
  await store.open();
  assertEquals([await store.read(queue, "store"), await store.read(other, "store")], [3, undefined]);
  store.update(queue, 4);
  await store.persist();
  assertEquals(await files.text(".bak"), edited);
});

for (
  const [what, text] of [
    ["missing", undefined],
    ["empty", ""],
    ["torn", file.slice(0, -20)],
    ["zeros", "\0".repeat(200)],
    ["no file of ours", "[]"],
    ["no object", "null"],
    ["an empty object", "{}"],
  ] as const
) {
  Deno.test(`FileOffsetStore reads the .bak if the file is ${what}, and does not lose it`, async () => {
    await using files = await Files.make(text, file);
    await using store = files.store();
    await store.open();
    assertEquals([await store.read(queue, "store"), await store.read(other, "store")], [7, 8]);
    assert(store.usesBackup);
    store.update(queue, 9);
    await store.persist();
    assertEquals(await files.text(), file.replace('"offset": 7', '"offset": 9'));
    assertEquals(await files.text(".bak"), file);
  });

  if (text === undefined) continue;
  for (const backup of [undefined, "", text]) {
    Deno.test(`FileOffsetStore.open() rejects if the file is ${what} and the .bak is ${JSON.stringify(backup)}`, async () => {
      await using files = await Files.make(text, backup);
      await using store = files.store();
      const error = await assertRejects(() => store.open(), OffsetFetchError);
      assertEquals(error.code, "OFFSETS_MALFORMED");
      await assertRejects(() => store.read(queue, "store"), OffsetFetchError);
      assertEquals([await files.text(), await files.owner()], [text, "free"]);
    });
  }
}

for (
  const [what, from, to, complaint] of [
    ["a newer version", '"version": 1', '"version": 2', "version is 2, allowed is 1"],
    ["another group's offsets", '"billing"', '"Billing"', 'group is "Billing", allowed is "billing"'],
    ["another instance's offsets", '"default"', '"blue"', 'instance is "blue"'],
    ["no list", '"offsets": [', '"offsets": 5, "x": [', "offsets is 5"],
    ["an entry that is none", '"offsets": [', '"offsets": [ null,', "offsets.0.topic"],
    ["an offset that is none", '"offset": 7', '"offset": "7"', 'offsets.0.offset is "7"'],
    ["a queue twice", '"queueId": 1', '"queueId": 0', "one entry for each queue"],
  ] as const
) {
  Deno.test(`FileOffsetStore.open() rejects a whole file with ${what}, whatever the .bak holds`, async () => {
    await using files = await Files.make(file.replace(from, to), file);
    await using store = files.store();
    const error = await assertRejects(() => store.open(), OffsetFetchError);
    assertEquals(error.code, "OFFSETS_MALFORMED");
    assertStringIncludes(error.message, complaint);
    assertStringIncludes(error.message, files.path);
    await Deno.writeTextFile(files.path, file);
    await store.open();
  });
}

Deno.test("FileOffsetStore.open() takes over from a dead member, when its lease has run out", async () => {
  await using files = await Files.make(file);
  await using dead = files.store();
  await dead.open(); // does not renew its lease during this test
  await writeLease(files, 200);
  await using store = files.store(100);
  const start = performance.now();
  await store.open();
  assert(performance.now() - start >= 200);
  store.update(queue, 10);
  await store.persist();

  dead.update(queue, 20);
  const error = await assertRejects(() => dead.persist(), OffsetError);
  assertEquals([error.code, dead.metrics().dirty], ["OFFSETS_TAKEN", 1]);
  await dead.close();
  assertEquals(await files.text(), file.replace('"offset": 7', '"offset": 10'));
  store.update(queue, 11);
  await store.persist();
});

Deno.test("FileOffsetStore has a lease again that its own life before could not finish to write", async () => {
  for (const record of ["", '{"version":1,"own', undefined]) {
    await using files = await Files.make(file);
    await Deno.mkdir(`${files.path}.lock/dead`, { recursive: true });
    if (record !== undefined) await Deno.writeTextFile(`${files.path}.lock/dead/lease.json`, record);
    await using store = files.store(100);
    await store.open();
    assertEquals(await store.read(queue, "store"), 7);
  }
});

Deno.test("FileOffsetStore renews its lease in the background", async () => {
  await using files = await Files.make();
  await using store = files.store(100);
  await store.open();
  const path = `${files.path}.lock/${await files.owner()}/lease.json`;
  const renewals = async () => Number(/"renewals":(\d+)/.exec(await Deno.readTextFile(path))?.[1]);
  await eventually(async () => await renewals() >= 3, "renewals");
});

Deno.test("FileOffsetStore.open() rejects two leases in one place, and hidden files are none", async () => {
  await using files = await Files.make();
  await Deno.mkdir(`${files.path}.lock/a`, { recursive: true });
  await Deno.mkdir(`${files.path}.lock/free`);
  await using store = files.store();
  assertEquals((await assertRejects(() => store.open(), OffsetFetchError)).code, "OFFSETS_MALFORMED");
  await Deno.remove(`${files.path}.lock/a`);
  await Deno.writeTextFile(`${files.path}.lock/.DS_Store`, "");
  await store.open();
});

Deno.test("FileOffsetStore is opened by one of many at once, and leaves nothing of the others", async () => {
  await using files = await Files.make();
  const stores = Array.from({ length: 5 }, () => files.store(2_000));
  const results = await Promise.allSettled(stores.map((store) => store.open()));
  assertEquals(results.filter(({ status }) => status === "fulfilled").length, 1);
  for (const store of stores) await store.close();
  const names = (await Array.fromAsync(Deno.readDir(join(files.place.folder, "billing")))).map(({ name }) => name);
  assertEquals([names, await files.owner()], [["default.json.lock"], "free"]);
});

Deno.test("FileOffsetStore.persist() writes the file anew if somebody has removed it", async () => {
  await using files = await Files.make(file);
  await using store = files.store();
  await store.open();
  await Deno.remove(files.path);
  store.update(queue, 9);
  await store.persist();
  assertEquals(await files.text(), file.replace('"offset": 7', '"offset": 9'));
});

Deno.test("FileOffsetStore.persist() keeps what could not be written, and leaves the file whole", async () => {
  await using files = await Files.make(file);
  await using store = files.store();
  await store.open();
  const obstacle = `${files.path}.lock/${await files.owner()}/next.json`;
  await Deno.mkdir(obstacle);
  store.update(queue, 9);
  const error = await assertRejects(() => store.persist(), OffsetError);
  assertEquals([error.code, error.retriable, store.metrics().dirty], ["OFFSET_STORE_FAILED", true, 1]);
  assertEquals(await files.text(), file);
  await Deno.remove(obstacle);
  await store.persist();
  assertEquals([await store.read(queue, "store"), store.metrics().failures], [9, 1]);
});

Deno.test("FileOffsetStore.open() says if the folder cannot be used", async () => {
  await using files = await Files.make();
  await using store = new FileOffsetStore({ group: "x", path: join(files.place.folder, "file") });
  await Deno.writeTextFile(join(files.place.folder, "file"), "");
  assertEquals((await assertRejects(() => store.open(), OffsetError)).code, "OFFSETS_UNAVAILABLE");
});

Deno.test("FileOffsetStore names files so that every system takes them", async () => {
  await using place = await Place.make();
  await using store = new FileOffsetStore({ group: "a|b%c", instance: "%|", path: place.folder });
  await store.open();
  store.update(queue, 1);
  await store.persist();
  assertFalse((await Deno.stat(join(place.folder, "a%7Cb%25c", "%25%7C.json"))).isDirectory);
});

Deno.test("FileOffsetStore names every option that is wrong", () => {
  const options = { group: "", instance: 5, leaseTimeout: 60_001, path: "", kv: {} };
  const error = assertThrows(() => new FileOffsetStore(fromJavaScript(options)), ConfigError);
  const fields = error.problems.map(({ field }) => field).sort();
  assertEquals(fields, ["group", "instance", "kv", "leaseTimeout", "path"]);
});

/** Has the lease say that it lives so long. */
async function writeLease(files: Files, timeout: number): Promise<void> {
  await Deno.writeTextFile(`${files.path}.lock/${await files.owner()}/lease.json`, JSON.stringify({ timeout }));
}
