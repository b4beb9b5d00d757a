import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Place } from "./stores.ts";

const queue = { topic: "orders", broker: "b", queueId: 0 };
const program = fromFileUrl(new URL("stalled_child.ts", import.meta.url));

for (const kind of ["kv", "file"] as const) {
  const name = kind === "kv" ? "KvOffsetStore" : "FileOffsetStore";

  Deno.test(`${name} of a program that stood still too long writes nothing`, async () => {
    await using place = await Place.make();
    const path = kind === "kv" ? place.kvPath : place.folder;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--unstable-kv", "--allow-read", "--allow-write", program, kind, path],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    assertEquals((await output.read()).value, "open\n");

    await using store = place.store(kind, { leaseTimeout: 100 });
    await store.open();
    assertEquals(await store.read(queue, "store"), 5);
    store.update(queue, 6);
    await store.persist();

    const input = child.stdin.getWriter();
    await input.write(new Uint8Array(1));
    assertEquals((await output.read()).value, "OFFSETS_TAKEN\n");
    await input.close();
    await output.cancel();
    assert((await child.status).success);

    store.update(queue, 7);
    await store.persist();
    await store.close();
    await using next = place.store(kind);
    await next.open();
    assertEquals(await next.read(queue, "store"), 7);
  });
}
