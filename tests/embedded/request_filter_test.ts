import { assertEquals } from "@std/assert";
import { filtered, noAnswer, type RequestFilter } from "../../src/embedded/request_filter.ts";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import type { RequestHandler } from "../../src/transport/connection.ts";
import { getMaxOffset } from "../../src/wire/requests.ts";
import { Peer } from "./peer.ts";

/** A request and a connection, for filters that forward both. */
async function received(): Promise<Parameters<RequestHandler>> {
  await using broker = await EmbeddedBroker.start();
  await using peer = await Peer.connect(broker);
  const command = await peer.ask(getMaxOffset, { topic: "orders", queueId: 0 });
  return [command, peer.connection];
}

Deno.test("filtered() lets each filter answer, let pass, delay or drop a request, in their order", async () => {
  const [request, connection] = await received();
  const log: string[] = [];
  const passing = (name: string): RequestFilter => (request, connection, next) => {
    log.push(name);
    return next(request, connection);
  };
  const handle: RequestHandler = () => ({ code: 0, remark: "handled" });
  const through = (...filters: RequestFilter[]) => filtered(filters, handle)(request, connection);

  assertEquals(await through(passing("a"), passing("b")), { code: 0, remark: "handled" });
  assertEquals(log, ["a", "b"]);
  assertEquals(await through(passing("c"), () => ({ code: 16 }), passing("d")), { code: 16 });
  assertEquals(log, ["a", "b", "c"]);

  let release!: () => void;
  const gate = new Promise<void>((resolve) => release = resolve);
  const delayed = through(async (request, connection, next) => (await gate, next(request, connection)), passing("e"));
  assertEquals(log.includes("e"), false);
  release();
  assertEquals(await delayed, { code: 0, remark: "handled" });

  let dropped = true;
  Promise.resolve(through(() => noAnswer(), passing("f"))).finally(() => dropped = false);
  await delayed;
  assertEquals([dropped, log.includes("f")], [true, false]);
});

Deno.test("without filters the handler itself is called", () => {
  const handle: RequestHandler = () => ({ code: 0 });
  assertEquals(filtered([], handle), handle);
});

Deno.test("answers of filters carry the server's language and version, as those of handlers do", async () => {
  await using broker = await EmbeddedBroker.start({ dialect: "4.9" });
  await using peer = await Peer.connect(broker);
  broker.faults.answer("GetMaxOffset", { code: 2 });
  const { code, version, language } = await peer.ask(getMaxOffset, { topic: "orders", queueId: 0 });
  assertEquals([code, version, language], [2, 407, "JAVA"]);
});
