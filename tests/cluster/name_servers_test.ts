import { assert, assertEquals, assertGreater, assertLess, assertRejects, assertStrictEquals } from "@std/assert";
import type { EndpointOptions } from "../../src/cluster/endpoint.ts";
import type { AskOptions } from "../../src/cluster/name_server.ts";
import { NameServers } from "../../src/cluster/name_servers.ts";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { NameServerError, NetworkError, ResponseError } from "../../src/errors.ts";
import { denoTransport } from "../../src/transport/deno.ts";
import type { TopicRouteData } from "../../src/wire/bodies.ts";
import { deadAddress, freeAddress, type Script, ScriptedServer } from "../transport/scripted_server.ts";
import { isSettled, turns, Unheard } from "../transport/waiting.ts";
import { FakeTransport } from "./fake_transport.ts";

const utf8 = new TextEncoder();
const LONG = { timeout: 20_000 };

/** Name servers that close with the test. */
class TestNameServers extends NameServers {
  constructor(addresses: readonly string[], options: Partial<EndpointOptions> = {}) {
    super(addresses, {
      transport: denoTransport,
      connectTimeout: 20_000,
      mapAddress: (address) => address,
      ...options,
    });
  }

  /** The route in the first answer. */
  async route(topic: string, options: AskOptions): Promise<TopicRouteData | undefined> {
    return (await this.first(topic, options)).data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await turns();
  }
}

/** A name server that knows every topic, under its own name. */
function knowing(brokerName: string): Script {
  const route: TopicRouteData = {
    queueDatas: [{ brokerName, perm: 6, readQueueNums: 1, writeQueueNums: 1 }],
    brokerDatas: [{ cluster: "c", brokerName, brokerAddrs: { 0: "10.0.0.1:10911" } }],
  };
  return (asked, peer) => peer.answer(asked, { body: utf8.encode(JSON.stringify(route)) });
}

const unknowing: Script = (asked, peer) => peer.answer(asked, { code: 17, remark: "No topic route info" });

/** Name servers that begin with the first of these addresses: which one is first is random. */
async function beginningWithFirst(addresses: readonly string[]): Promise<TestNameServers> {
  for (;;) {
    const transport = new FakeTransport(() => Promise.reject(new TypeError("not now")));
    const names = new TestNameServers(addresses, { transport });
    await names.route("x", LONG).catch(() => {});
    const isFirst = transport.dialed[0] === addresses[0];
    transport.dial = denoTransport.connect;
    if (isFirst) return names;
    names.close();
  }
}

function nameOf(route: TopicRouteData | undefined): string | undefined {
  return route?.brokerDatas?.[0]?.brokerName;
}

Deno.test("first() asks for strict JSON and reads what a name server answers", async () => {
  await using server = new ScriptedServer(knowing("a"));
  await using names = new TestNameServers([server.address]);
  assertEquals(names.addresses, [server.address]);
  const route = await names.route("orders", LONG);
  assertEquals(nameOf(route), "a");
  const [asked] = server.requests;
  assertEquals([asked!.code, asked!.version], [105, 479]);
  assertEquals({ ...asked!.fields }, { topic: "orders", acceptStandardJsonOnly: "true" });
});

Deno.test("first() reads the JSON of old name servers too", async () => {
  const body = utf8.encode(
    '{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},"brokerName":"a","cluster":"c"}],' +
      '"filterServerTable":{},"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":4,"topicSynFlag":0,"writeQueueNums":4}]}',
  );
  await using server = new ScriptedServer((asked, peer) => peer.answer(asked, { body }));
  await using names = new TestNameServers([server.address]);
  const route = await names.route("orders", LONG);
  assertEquals({ ...route!.brokerDatas![0]!.brokerAddrs }, { 0: "10.0.0.1:10911", 1: "10.0.0.2:10911" });
});

Deno.test("first() is undefined for an unknown topic, and rejects for other codes", async () => {
  await using server = new ScriptedServer((asked, peer) => {
    if (asked.fields["topic"] === "unknown") unknowing(asked, peer);
    else peer.answer(asked, { code: 1, remark: "name server not ready" });
  });
  await using names = new TestNameServers([server.address]);
  assertEquals(await names.route("unknown", LONG), undefined);
  const error = await assertRejects(() => names.route("orders", LONG), ResponseError, "name server not ready");
  assertEquals([error.request, error.address, error.responseCode], ["GetRoute", server.address, 1]);
});

Deno.test("first() goes to the next name server when one fails, and stays with the one that answered", async () => {
  await using first = new ScriptedServer(knowing("first"));
  await using second = new ScriptedServer(knowing("second"));
  await using names = await beginningWithFirst([first.address, second.address]);
  assertEquals([nameOf(await names.route("a", LONG)), nameOf(await names.route("b", LONG))], ["first", "first"]);
  assertEquals(names.localHost, "127.0.0.1");
  await first[Symbol.asyncDispose]();
  assertEquals([nameOf(await names.route("c", LONG)), nameOf(await names.route("d", LONG))], ["second", "second"]);
  assertEquals([first.requests.length, second.requests.length], [2, 2]);
});

Deno.test("first() goes to the next name server when one refuses, hangs up, speaks nonsense or is not ready", async () => {
  const bad: Script[] = [
    (_, peer) => peer.close(),
    (_, peer) => peer.send(utf8.encode("HTTP/1.1 400 Bad Request\r\n\r\n")),
    (asked, peer) => peer.answer(asked, { code: 1, remark: "name server not ready" }),
    (asked, peer) => peer.answer(asked, { code: 3, remark: "request type 105 not supported" }),
  ];
  for (const script of bad) {
    await using first = new ScriptedServer(script);
    await using second = new ScriptedServer(knowing("second"));
    await using names = await beginningWithFirst([first.address, second.address]);
    assertEquals(nameOf(await names.route("a", LONG)), "second");
    assertEquals(first.requests.length, 1);
  }
  await using second = new ScriptedServer(knowing("second"));
  await using names = await beginningWithFirst([deadAddress(), second.address]);
  assertEquals(nameOf(await names.route("a", LONG)), "second");
});

Deno.test("first() goes to the next name server when one is silent, within one timeout", async () => {
  await using first = new ScriptedServer();
  await using second = new ScriptedServer(knowing("second"));
  await using names = await beginningWithFirst([first.address, second.address]);
  assertEquals(nameOf(await names.route("a", { timeout: 1_000 })), "second");
  assertEquals(first.requests.length, 1);
});

Deno.test("first() asks every name server once, also if another call changes which one is current", async () => {
  let refuse!: () => void;
  await using first = new ScriptedServer((asked, peer) => {
    // The second request is refused after the first one's caller has found the other name server.
    const answer = () => peer.answer(asked, { code: 1 });
    if (asked.fields["topic"] === "a") answer();
    else refuse = answer;
  });
  await using second = new ScriptedServer(knowing("second"));
  await using names = await beginningWithFirst([first.address, second.address]);
  const later = names.route("b", LONG);
  await first.untilRequests(1);
  assertEquals(nameOf(await names.route("a", LONG)), "second");
  refuse();
  assertEquals(nameOf(await later), "second");
  assertEquals([first.requests.length, second.requests.length], [2, 2]);
});

Deno.test("first() rejects with what explains most when all fail", async () => {
  await using wrong = new ScriptedServer((asked, peer) => peer.answer(asked, { code: 3, remark: "not supported" }));
  for (const addresses of [[deadAddress(), wrong.address], [wrong.address, deadAddress()]]) {
    await using names = await beginningWithFirst(addresses);
    const error = await assertRejects(() => names.route("a", LONG), ResponseError);
    assertEquals([error.responseCode, error.address], [3, wrong.address]);
  }
});

Deno.test("first() ends at once when its signal aborts, and asks no further name server", async () => {
  await using first = new ScriptedServer();
  await using second = new ScriptedServer(knowing("second"));
  await using names = await beginningWithFirst([first.address, second.address]);
  const stop = new AbortController();
  const reason = { why: "stop" };
  const waiting = names.route("a", { ...LONG, signal: stop.signal });
  await first.untilRequests(1);
  stop.abort(reason);
  assertStrictEquals(await waiting.catch((error) => error), reason);
  assertEquals(second.peers.length, 0);
});

Deno.test("start() is content with a name server that knows no topic", async () => {
  await using server = new ScriptedServer(unknowing);
  await using names = new TestNameServers([server.address]);
  await names.start(20_000, 20_000);
  assertEquals([server.requests.length, server.requests[0]!.fields["topic"], names.localHost], [
    1,
    "TBW102",
    "127.0.0.1",
  ]);
});

Deno.test("start() takes the embedded broker for the name server that it is", async () => {
  await using broker = await EmbeddedBroker.start();
  await using names = new TestNameServers([broker.nameServer]);
  await names.start(20_000, 20_000);
});

Deno.test("start() waits for a name server that comes up, or is not ready yet", async () => {
  const address = freeAddress();
  await using names = new TestNameServers([address]);
  const started = names.start(20_000, 20_000);
  assertEquals(await isSettled(started), false);
  let asked = 0;
  await using _server = new ScriptedServer((request, peer) => {
    if (++asked < 3) peer.answer(request, { code: 1, remark: "name server not ready" });
    else unknowing(request, peer);
  }, { port: Number(address.split(":")[1]) });
  await started;
  assertEquals(asked, 3);
});

Deno.test("start() rejects after startTimeout: no name server can be reached, and which were tried", async () => {
  await using silent = new ScriptedServer();
  await using busy = new ScriptedServer((asked, peer) => peer.answer(asked, { code: 2, remark: "busy" }));
  const cases = [[deadAddress()], [silent.address], [busy.address], [deadAddress(), silent.address, busy.address]];
  await Promise.all(cases.map(async (addresses) => {
    await using names = new TestNameServers(addresses);
    const started = performance.now();
    const error = await assertRejects(() => names.start(700, 500), NameServerError);
    const took = performance.now() - started;
    assertEquals([error.code, error.retriable], ["NAME_SERVER_UNREACHABLE", true]);
    const words = `Cannot reach a name server within 700 ms: tried ${addresses.join(", ")} (host:port,`;
    assert(error.message.startsWith(words), error.message);
    assert(error.cause instanceof Error);
    assertGreater(took, 500);
    assertLess(took, 2_500);
  }));
});

Deno.test("start() keeps to startTimeout however many name servers are silent", async () => {
  await using silent = new ScriptedServer();
  const addresses = Array.from({ length: 6 }, () => silent.address);
  await using names = new TestNameServers(addresses);
  const started = performance.now();
  await assertRejects(() => names.start(600, 500), NameServerError);
  assertLess(performance.now() - started, 2_500);
});

Deno.test("start() rejects at once if something else answers, and names it", async () => {
  const others: [string, Script][] = [
    ["a broker of 5.x", (asked, peer) => peer.answer(asked, { code: 3, remark: "request type 105 not supported" })],
    ["an HTTP server", (_, peer) => {
      peer.send(utf8.encode("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
      peer.closeWrite();
    }],
    ["a TLS server", (_, peer) => peer.send(Uint8Array.of(0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46))],
    ["garbage of a possible length", (_, peer) => peer.send(Uint8Array.of(0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8))],
  ];
  for (const [who, script] of others) {
    await using server = new ScriptedServer(script);
    await using names = new TestNameServers([server.address]);
    const error = await assertRejects(() => names.start(60_000, 60_000), NameServerError, undefined, who);
    assertEquals([error.code, error.retriable], ["NOT_A_NAME_SERVER", false], who);
    assert(error.message.startsWith(`Cannot use ${server.address} as a name server: `), `${who}: ${error.message}`);
    assertEquals(server.requests.length, 1);
  }
});

Deno.test("start() rejects at once for a server that speaks first: SSH, SMTP, a database", async () => {
  for (const greeting of ["SSH-2.0-OpenSSH_9.2\r\n", "220 mail ready\r\n", "\u004a\u0000\u0000\u0000\u000a8.0.36"]) {
    await using server = new ScriptedServer(undefined, { onAccept: (peer) => peer.send(utf8.encode(greeting)) });
    await using names = new TestNameServers([server.address]);
    const error = await assertRejects(() => names.start(60_000, 60_000), NameServerError);
    assertEquals(error.code, "NOT_A_NAME_SERVER");
  }
});

Deno.test("start() uses a good name server although another address is none", async () => {
  await using wrong = new ScriptedServer((asked, peer) => peer.answer(asked, { code: 3 }));
  await using good = new ScriptedServer(unknowing);
  for (const addresses of [[wrong.address, good.address], [good.address, wrong.address]]) {
    await using names = await beginningWithFirst(addresses);
    await names.start(20_000, 20_000);
  }
});

Deno.test("start() ends with the reason of its signal: before, during a request, and between two rounds", async () => {
  using unheard = new Unheard();
  const reason = { why: "stop" };
  await using silent = new ScriptedServer();
  const transport = new FakeTransport();

  await using never = new TestNameServers([silent.address], { transport });
  const before = never.start(20_000, 20_000, AbortSignal.abort(reason));
  assertStrictEquals(await before.catch((error) => error), reason);
  assertEquals(transport.dialed, []);

  const stop = new AbortController();
  await using asking = new TestNameServers([silent.address], { transport });
  const during = asking.start(20_000, 20_000, stop.signal);
  await silent.untilRequests(1);
  await using refused = new TestNameServers([deadAddress()], { transport });
  const between = refused.start(20_000, 20_000, stop.signal);
  await transport.untilDialed(2);
  assertEquals(await isSettled(between), false);
  stop.abort(reason);
  for (const started of [during, between]) assertStrictEquals(await started.catch((error) => error), reason);
  await turns();
  assertEquals(unheard.reasons, []);
});

Deno.test("close() ends calls and leaves nothing open", async () => {
  using unheard = new Unheard();
  await using server = new ScriptedServer();
  const names = new TestNameServers([server.address]);
  const waiting = assertRejects(() => names.route("a", LONG), NetworkError, "was closed");
  await server.untilRequests(1);
  names.close();
  await waiting;
  await server.untilOpen(0);
  await assertRejects(() => names.route("a", LONG), NetworkError, "was closed");
  assertEquals(unheard.reasons, []);
});

Deno.test("start() names the address of a server whose answer is no route", async () => {
  for (const body of ["", "<html>", "{"]) {
    await using server = new ScriptedServer((asked, peer) => peer.answer(asked, { body: utf8.encode(body) }));
    await using names = new TestNameServers([server.address]);
    const error = await assertRejects(() => names.start(60_000, 60_000), NameServerError);
    assertEquals(error.code, "NOT_A_NAME_SERVER");
    assert(error.message.startsWith(`Cannot use ${server.address} as a name server: `), error.message);
  }
});

Deno.test("first() rejects with a typed error for an answer that is JSON but no route", async () => {
  for (const body of ["null", "[]", "5", '"x"', '{"brokerDatas":5}', '{"queueDatas":{}}']) {
    await using server = new ScriptedServer((asked, peer) => peer.answer(asked, { body: utf8.encode(body) }));
    await using names = new TestNameServers([server.address]);
    const error = await assertRejects(() => names.route("orders", LONG), NetworkError, undefined, body);
    assertEquals(error.code, "MALFORMED_FRAME", body);
  }
});

Deno.test("first() takes members that are null for missing, as Java does", async () => {
  const body = utf8.encode('{"orderTopicConf":null,"queueDatas":null,"brokerDatas":null,"filterServerTable":null}');
  await using server = new ScriptedServer((asked, peer) => peer.answer(asked, { body }));
  await using names = new TestNameServers([server.address]);
  assertEquals(await names.route("orders", LONG), { queueDatas: [], brokerDatas: [] });
});
