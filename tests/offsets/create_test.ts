import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { join, toFileUrl } from "@std/path";
import { ConfigError } from "../../src/errors.ts";
import { createOffsetStore, validateOffsetStoreOptions } from "../../src/offsets/create.ts";
import { FileOffsetStore } from "../../src/offsets/file.ts";
import { KvOffsetStore } from "../../src/offsets/kv.ts";
import { MemoryOffsetStore } from "../../src/offsets/memory.ts";
import { root } from "../../tools/testing/files.ts";
import { fromJavaScript } from "../untyped.ts";
import { Place, watchedKv } from "./stores.ts";

Deno.test("createOffsetStore() makes the store that is asked for, and prefers KV", async () => {
  await using place = await Place.make();
  await using kv = await watchedKv();
  const [group, path] = ["billing", place.folder];
  assertInstanceOf(await createOffsetStore({ group }), KvOffsetStore);
  assertInstanceOf(await createOffsetStore({ group, type: "auto", path }), KvOffsetStore);
  assertInstanceOf(await createOffsetStore({ group, type: "kv", kv, instance: "a", leaseTimeout: 100 }), KvOffsetStore);
  assertInstanceOf(await createOffsetStore({ group, type: "file", path }), FileOffsetStore);
  assertInstanceOf(await createOffsetStore({ group, type: "memory" }), MemoryOffsetStore);
});

Deno.test("createOffsetStore() hands its options on", async () => {
  await using place = await Place.make();
  await using kv = await watchedKv();
  await using inKv = await createOffsetStore({ group: "billing", instance: "blue", leaseTimeout: 200, kv });
  await inKv.open();
  const [lease] = await kv.all();
  assertEquals(lease?.key, ["rocketmq", "billing", "blue"]);
  assertEquals((lease?.value as { timeout: number }).timeout, 200);
  const options = { group: "billing", instance: "blue", leaseTimeout: 200, path: place.folder };
  await using inFile = await createOffsetStore({ ...options, type: "file" });
  await inFile.open();
  assert((await Deno.stat(join(place.folder, "billing", "blue.json.lock"))).isDirectory);
});

Deno.test("validateOffsetStoreOptions() names every option that is wrong", async () => {
  const options = { group: "", type: "disk", instance: "a/b", path: 5, leaseTimeout: "3s", Kv: 1 };
  const error = assertThrows(() => validateOffsetStoreOptions(fromJavaScript(options)), ConfigError);
  const fields = error.problems.map(({ field }) => field).sort();
  assertEquals(fields, ["Kv", "group", "instance", "leaseTimeout", "path", "type"]);
  await assertRejects(() => createOffsetStore(fromJavaScript(undefined)), ConfigError);
  await using kv = await watchedKv();
  assertThrows(() => validateOffsetStoreOptions({ group: "g", type: "file", kv }), ConfigError, "kv");
  assertThrows(() => validateOffsetStoreOptions({ group: "g", kv, path: "x" }), ConfigError, "path");
  validateOffsetStoreOptions({ group: "g", type: "file", path: "x" });
});

Deno.test("createOffsetStore() never asks: KV, else files where those are allowed, else memory", async () => {
  await using place = await Place.make();
  const folder = place.folder;
  const all = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
  const files = [`--allow-read=${folder}`, `--allow-write=${folder}`];
  assertEquals(await kindIn(place, ["--unstable-kv"], { path: undefined }), "kv");
  assertEquals(await kindIn(place, ["--unstable-kv", ...files], { path: join(folder, "kv.sqlite") }), "kv");
  assertEquals(await kindIn(place, ["--unstable-kv"], { path: folder }), "memory");
  assertEquals(await kindIn(place, [], { path: folder }), "memory");
  assertEquals(await kindIn(place, files.slice(0, 1), { path: folder }), "memory");
  assertEquals(await kindIn(place, files, { path: join(folder, "deeper") }), "file");
  assertEquals(await kindIn(place, [], {}), "memory");
  assertEquals(await kindIn(place, ["--allow-env=HOME", "--allow-read", "--allow-write"], {}), "file");
  assertEquals(await kindIn(place, all, {}), "file");
  await Deno.writeTextFile(join(folder, "file"), "");
  assertEquals(await kindIn(place, all, { path: join(folder, "file") }), "memory");
});

Deno.test("FileOffsetStore needs no permission but for its folder", async () => {
  await using place = await Place.make();
  const path = join(place.folder, "offsets");
  const flags = [`--allow-read=${path}`, `--allow-write=${path}`];
  assertEquals(await outputOf(place, flags, keepInFile(path)), "5 6");
});

Deno.test("KvOffsetStore.open() says what is missing where there is no KV", async () => {
  await using place = await Place.make();
  const [code, message] = (await outputOf(place, [], openInKv)).split("|");
  assertEquals(code, "OFFSETS_UNAVAILABLE");
  assert(message?.includes("--unstable-kv"));
});

const openInKv = `
await new mod.KvOffsetStore({ group: "g" }).open().catch((error) => console.log(error.code + "|" + error.message));
`;

/** Writes twice, then reads in another life. */
function keepInFile(path: string): string {
  return `
const options = { group: "g", path: ${JSON.stringify(path)} };
const queue = { topic: "t", broker: "b", queueId: 0 };
const seen = [];
for (const offset of [5, 6]) {
  const store = new mod.FileOffsetStore(options);
  await store.open();
  store.update(queue, offset);
  await store.persist();
  await store.close();
  const next = new mod.FileOffsetStore(options);
  await next.open();
  seen.push(await next.read(queue, "store"));
  await next.close();
}
console.log(seen.join(" "));`;
}

/** What `createOffsetStore()` chooses in a program with these flags, whose home is the place. */
function kindIn(place: Place, flags: string[], options: { path?: string | undefined }): Promise<string> {
  const json = JSON.stringify({ group: "g", ...options });
  return outputOf(place, flags, `console.log((await mod.createOffsetStore(${json})).kind);`);
}

/** What a program prints that runs without our deno.json. It would stop at a prompt: nobody answers. */
async function outputOf(place: Place, flags: string[], program: string): Promise<string> {
  const path = join(place.folder, "program.ts");
  const mod = toFileUrl(join(root, "src/consumer/mod.ts")).href;
  await Deno.writeTextFile(path, `import * as mod from "${mod}";\n${program}`);
  const args = ["run", "--no-config", "--no-check", "--no-prompt", ...flags, path];
  const env = { HOME: place.folder, DENO_DIR: join(place.folder, "deno") };
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env }).output();
  const text = new TextDecoder().decode(stdout).trim();
  return text === "" ? new TextDecoder().decode(stderr) : text;
}
