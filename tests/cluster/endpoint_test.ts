import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { Endpoint, type EndpointOptions } from "../../src/cluster/endpoint.ts";
import { NetworkError, ResponseError, type RocketMQError, TimeoutError } from "../../src/errors.ts";
import { denoTransport } from "../../src/transport/deno.ts";
import type { Socket } from "../../src/transport/transport.ts";
import type { Command } from "../../src/wire/frame.ts";
import { getMaxOffset, searchOffsetByTimestamp } from "../../src/wire/requests.ts";
import { MemorySocket } from "../transport/memory_socket.ts";
import {
  deadAddress,
  freeAddress,
  type Script,
  type ScriptedPeer,
  ScriptedServer,
} from "../transport/scripted_server.ts";
import { isSettled, turns, Unheard } from "../transport/waiting.ts";
import { FakeTransport } from "./fake_transport.ts";

const LONG = { timeout: 20_000 };
const queue = { topic: "orders", queueId: 3 };

const answering: Script = (asked, peer) => peer.answer(asked, { fields: { offset: "12" }, version: 479, remark: "r" });

/** What an endpoint has reported, in order. */
class EndpointLog {
  readonly lines: string[] = [];
  readonly reasons: RocketMQError[] = [];
  readonly onConnected = (endpoint: Endpoint, again: boolean) => {
    this.lines.push(`connected ${endpoint.address}${again ? " again" : ""}`);
  };
  readonly onDisconnected = (endpoint: Endpoint, reason: RocketMQError) => {
    this.lines.push(`disconnected ${endpoint.address}`);
    this.reasons.push(reason);
  };
}

/** An endpoint that closes with the test. */
class TestEndpoint extends Endpoint {
  constructor(address: string, options: Partial<EndpointOptions> = {}) {
    super(address, {
      transport: denoTransport,
      connectTimeout: 20_000,
      mapAddress: (address) => address,
      ...options,
    });
  }

  maxOffset(timeout = 20_000, signal?: AbortSignal): Promise<number> {
    return this.call(getMaxOffset, queue, { timeout, signal }).then((answer) => answer.header.offset);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await turns();
  }
}

Deno.test("Endpoint opens nothing before the first call, and one connection for all", async () => {
  await using server = new ScriptedServer(answering);
  const transport = new FakeTransport();
  const log = new EndpointLog();
  await using endpoint = new TestEndpoint(server.address, { transport, ...log });
  assertEquals([transport.dialed, endpoint.localHost], [[], undefined]);
  const offsets = await Promise.all(Array.from({ length: 50 }, () => endpoint.maxOffset()));
  await endpoint.maxOffset();
  assertEquals(new Set(offsets), new Set([12]));
  assertEquals([transport.dialed, server.peers.length], [[server.address], 1]);
  assertEquals([log.lines, endpoint.localHost], [[`connected ${server.address}`], "127.0.0.1"]);
});

Deno.test("call() writes and reads typed headers, bodies, versions and remarks", async () => {
  await using server = new ScriptedServer((asked, peer) => {
    peer.answer(asked, { fields: { offset: "9007199254740991" }, body: asked.body, version: 407, remark: "r" });
  });
  await using endpoint = new TestEndpoint(server.address);
  const header = { topic: "orders", queueId: 0, timestamp: 1_700_000_000_000 };
  const options = { ...LONG, body: Uint8Array.of(1, 2) };
  const { receivedAt, ...answer } = await endpoint.call(searchOffsetByTimestamp, header, options);
  assert(receivedAt <= performance.now());
  assertEquals(answer, {
    code: 0,
    header: { offset: 9_007_199_254_740_991 },
    body: Uint8Array.of(1, 2),
    version: 407,
    remark: "r",
  });
  const [asked] = server.requests;
  assertEquals([asked!.code, asked!.version, asked!.language], [29, 479, "OTHER"]);
  assertEquals({ ...asked!.fields }, { topic: "orders", queueId: "0", timestamp: "1700000000000" });
});

Deno.test("call() makes errors of other codes, unless the caller accepts them", async () => {
  await using server = new ScriptedServer((asked, peer) => {
    const code = Number(asked.fields["queueId"]);
    peer.answer(asked, { code, remark: code === 22 ? undefined : `code ${code}`, fields: { offset: "5" } });
  });
  await using endpoint = new TestEndpoint(server.address);
  const ask = (queueId: number, accept?: readonly number[]) =>
    endpoint.call(getMaxOffset, { topic: "t", queueId }, { ...LONG, ...(accept === undefined ? {} : { accept }) });

  const error = await assertRejects(() => ask(1), ResponseError);
  assertEquals(
    [error.request, error.responseCode, error.address, error.remark, error.code, error.retriable],
    ["GetMaxOffset", 1, server.address, "code 1", "RESPONSE_1", true],
  );
  assertEquals(error.message, `Cannot complete GetMaxOffset on ${server.address}: server answered 1 "code 1"`);
  assertEquals((await assertRejects(() => ask(22), ResponseError)).remark, "");
  assertEquals((await ask(22, [17, 22])).code, 22);
  assertEquals((await assertRejects(() => ask(17, [22]), ResponseError)).responseCode, 17);
  const retriable = async (code: number) => (await assertRejects(() => ask(code), ResponseError)).retriable;
  const codes = [1, 2, 3, 13, 14, 16, 17, 22, 26, 204, 205, 215];
  const expected = [true, true, false, false, true, true, true, false, false, true, true, true];
  assertEquals(await Promise.all(codes.map(retriable)), expected);
});

Deno.test("call() rejects if the answer lacks a field, and keeps the connection", async () => {
  await using server = new ScriptedServer((asked, peer) => peer.answer(asked, { fields: {} }));
  await using endpoint = new TestEndpoint(server.address);
  const error = await assertRejects(() => endpoint.maxOffset(), NetworkError, "GetMaxOffset answer");
  assertEquals(error.code, "MALFORMED_FRAME");
  await assertRejects(() => endpoint.maxOffset(), NetworkError);
  assertEquals(server.peers.length, 1);
});

Deno.test("call() rejects if nobody listens, with the address and the cause", async () => {
  const address = deadAddress();
  const log = new EndpointLog();
  await using endpoint = new TestEndpoint(address, log);
  const error = await assertRejects(() => endpoint.maxOffset(), NetworkError, `Cannot connect to ${address}: `);
  assertEquals([error.code, error.address, error.retriable], ["CONNECT_FAILED", address, true]);
  assert(error.cause instanceof Error);
  assertEquals(log.lines, []);
});

Deno.test("call() ends by its own timeout or signal, and the connection attempt serves those who wait", async () => {
  await using server = new ScriptedServer(answering);
  let connect!: () => void;
  const held = new Promise<void>((resolve) => connect = resolve);
  const transport = new FakeTransport(async (...args) => {
    await held;
    return await denoTransport.connect(...args);
  });
  await using endpoint = new TestEndpoint(server.address, { transport });
  const stop = new AbortController();
  const patient = endpoint.maxOffset();
  const stopped = endpoint.maxOffset(20_000, stop.signal);
  const error = await assertRejects(() => endpoint.maxOffset(20), TimeoutError, `connect to ${server.address}`);
  assertEquals(Math.round(error.timeout), 20);
  stop.abort(new RangeError("enough"));
  await assertRejects(() => stopped, RangeError, "enough");
  connect();
  assertEquals([await patient, transport.dialed.length], [12, 1]);
});

Deno.test("an attempt to connect ends after connectTimeout, however long callers wait", async () => {
  const transport = new FakeTransport((_host, _port, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
  );
  await using endpoint = new TestEndpoint("127.0.0.1:1", { transport, connectTimeout: 50 });
  const error = await assertRejects(() => endpoint.maxOffset(), NetworkError, "Cannot connect to 127.0.0.1:1");
  assertEquals(error.code, "CONNECT_FAILED");
});

Deno.test("call() has one timeout for connecting and the answer together", async () => {
  let connect!: (socket: Socket) => void;
  const transport = new FakeTransport(() => new Promise((resolve) => connect = resolve));
  await using endpoint = new TestEndpoint("127.0.0.1:1", { transport });
  const started = performance.now();
  const late = assertRejects(() => endpoint.maxOffset(600), TimeoutError);
  await assertRejects(() => endpoint.maxOffset(400), TimeoutError, "connect to"); // a slow network
  connect(new MemorySocket());
  await late;
  const took = performance.now() - started;
  assertGreaterOrEqual(took, 590);
  assertLess(took, 900);
});

Deno.test("call() is repeated once over another connection when the server answers GO_AWAY", async () => {
  const log = new EndpointLog();
  await using server = new ScriptedServer((asked, peer) => {
    if (peer === server.peers[0]) peer.answer(asked, { code: 1500, remark: "please go away" });
    else answering(asked, peer);
  });
  await using endpoint = new TestEndpoint(server.address, log);
  assertEquals(await endpoint.maxOffset(), 12);
  await server.untilOpen(1);
  assertEquals([server.peers.length, server.peers[0]!.isOpen], [2, false]);
  assertEquals(log.lines, [
    `connected ${server.address}`,
    `disconnected ${server.address}`,
    `connected ${server.address} again`,
  ]);
});

Deno.test("call() rejects with GO_AWAY if the next connection is answered so too", async () => {
  await using server = new ScriptedServer((asked, peer) => peer.answer(asked, { code: 1500, remark: "go" }));
  await using endpoint = new TestEndpoint(server.address);
  const error = await assertRejects(() => endpoint.maxOffset(), ResponseError);
  assertEquals([error.responseCode, error.retriable, server.requests.length], [1500, true, 2]);
});

Deno.test("calls that are all answered GO_AWAY are repeated over one connection", async () => {
  await using server = new ScriptedServer((asked, peer) => {
    if (peer === server.peers[0]) peer.answer(asked, { code: 1500 });
    else answering(asked, peer);
  });
  const transport = new FakeTransport();
  await using endpoint = new TestEndpoint(server.address, { transport });
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => endpoint.maxOffset()));
  assertEquals(results.map((result) => result.status), Array(20).fill("fulfilled"));
  assertEquals(transport.dialed.length, 2);
});

Deno.test("GO_AWAY drains a connection: its other calls get their answers, and then it closes", async () => {
  const log = new EndpointLog();
  const held: [Command, ScriptedPeer][] = [];
  await using server = new ScriptedServer((asked, peer) => {
    if (peer !== server.peers[0]) answering(asked, peer);
    else if (held.length < 2) held.push([asked, peer]);
    else peer.answer(asked, { code: 1500, remark: "please go away" });
  });
  await using endpoint = new TestEndpoint(server.address, log);
  const neighbours = [endpoint.maxOffset(), endpoint.maxOffset()];
  await server.untilRequests(2);
  const refused = [endpoint.maxOffset(), endpoint.maxOffset(), endpoint.maxOffset()];

  assertEquals(await Promise.all(refused), [12, 12, 12]);
  assertEquals([server.peers.length, server.open], [2, 2]);
  assertEquals(await endpoint.maxOffset(), 12);
  for (const [asked, peer] of held) answering(asked, peer);
  assertEquals(await Promise.all(neighbours), [12, 12]);
  await server.untilOpen(1);
  assertEquals([server.peers.length, server.peers[0]!.isOpen], [2, false]);
  assertEquals(server.peers[1]!.requests.length, 4);
  assertEquals(log.lines, [`connected ${server.address}`, `connected ${server.address} again`]);
});

Deno.test("a drained connection closes when its last call is over, answered or not", async () => {
  await using server = new ScriptedServer((asked, peer) => {
    if (peer !== server.peers[0]) answering(asked, peer);
    else if (peer.requests.length > 2) peer.answer(asked, { code: 1500 });
  });
  await using endpoint = new TestEndpoint(server.address);
  const stop = new AbortController();
  const aborted = endpoint.maxOffset(20_000, stop.signal);
  const late = endpoint.maxOffset(100);
  await server.untilRequests(2);
  assertEquals(await endpoint.maxOffset(), 12);
  await assertRejects(() => late, TimeoutError);
  assertEquals(server.open, 2);
  stop.abort("enough");
  assertEquals(await aborted.catch((reason) => reason), "enough");
  await server.untilOpen(1);
  assertEquals(server.peers[0]!.isOpen, false);
});

Deno.test("close() closes a connection that is drained, too", async () => {
  await using server = new ScriptedServer((asked, peer) => {
    if (peer !== server.peers[0]) answering(asked, peer);
    else if (peer.requests.length > 1) peer.answer(asked, { code: 1500 });
  });
  await using endpoint = new TestEndpoint(server.address);
  const held = endpoint.maxOffset();
  await server.untilRequests(1);
  await endpoint.maxOffset();
  endpoint.close();
  await assertRejects(() => held, NetworkError);
  await server.untilOpen(0);
});

Deno.test("mapAddress decides where is dialed, and errors name both addresses", async () => {
  await using server = new ScriptedServer(answering);
  const transport = new FakeTransport();
  const asked: string[] = [];
  const mapAddress = (address: string) => {
    asked.push(address);
    return server.address;
  };
  await using endpoint = new TestEndpoint("10.0.0.5:10911", { transport, mapAddress });
  assertEquals([await endpoint.maxOffset(), endpoint.address], [12, "10.0.0.5:10911"]);
  assertEquals([asked, transport.dialed], [["10.0.0.5:10911"], [server.address]]);
  (await server.peer()).close();

  const dead = deadAddress();
  await using lost = new TestEndpoint("10.0.0.5:10911", { mapAddress: () => dead });
  const words = `Cannot connect to 10.0.0.5:10911 (mapped to "${dead}"): `;
  assertEquals((await assertRejects(() => lost.maxOffset(), NetworkError, words)).address, "10.0.0.5:10911");
});

Deno.test("a mapAddress that throws, or returns what is no address, fails calls with the address", async () => {
  const maps: (() => string)[] = [
    () => "nowhere",
    () => Reflect.get({}, "address"),
    () => Reflect.get(Symbol, "iterator"),
    () => {
      throw new RangeError("no such broker");
    },
  ];
  for (const mapAddress of maps) {
    await using endpoint = new TestEndpoint("10.0.0.5:10911", { mapAddress });
    const error = await assertRejects(() => endpoint.maxOffset(), NetworkError, "Cannot connect to 10.0.0.5:10911");
    assertEquals([error.code, error.address], ["CONNECT_FAILED", "10.0.0.5:10911"]);
  }
});

Deno.test("an address that is none fails calls, and nothing is dialed", async () => {
  const transport = new FakeTransport();
  await using endpoint = new TestEndpoint("nowhere", { transport });
  await assertRejects(() => endpoint.maxOffset(), NetworkError, '"nowhere" is not of the form host:port');
  assertEquals(transport.dialed, []);
});

Deno.test("a lost connection fails what is pending, is reported, and the next call opens another", async () => {
  const log = new EndpointLog();
  await using server = new ScriptedServer((asked, peer) => server.peers.length > 1 && answering(asked, peer));
  await using endpoint = new TestEndpoint(server.address, log);
  const lost = assertRejects(() => endpoint.maxOffset(), NetworkError, "Lost the connection");
  await server.untilRequests(1);
  server.peers[0]!.close();
  assertEquals((await lost).code, "CONNECTION_LOST");
  assertEquals([endpoint.isOpen, await endpoint.maxOffset(), endpoint.isOpen], [false, 12, true]);
  assertEquals(log.lines, [
    `connected ${server.address}`,
    `disconnected ${server.address}`,
    `connected ${server.address} again`,
  ]);
  assertEquals(log.reasons[0]!.code, "CONNECTION_LOST");
});

Deno.test("the first connection counts as one that is made again if an attempt failed before", async () => {
  const log = new EndpointLog();
  const address = freeAddress();
  await using endpoint = new TestEndpoint(address, log);
  await assertRejects(() => endpoint.maxOffset(), NetworkError);
  await using _server = new ScriptedServer(answering, { port: Number(address.split(":")[1]) });
  assertEquals(await endpoint.maxOffset(), 12);
  assertEquals(log.lines, [`connected ${address} again`]);
});

/** Lets waits of less than 5 s pass at once, and notes how long they would have been. */
class ShortWaits {
  readonly waits: number[] = [];
  #real = globalThis.setTimeout;

  constructor() {
    const real = this.#real;
    const short = (run: () => void, ms: number) => {
      if (ms >= 5_000) return real(run, ms);
      this.waits.push(ms);
      return real(run, 0);
    };
    Object.assign(globalThis, { setTimeout: short });
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, { setTimeout: this.#real });
  }
}

/** The largest and the smallest wait before an attempt: both halves of the jitter, less the time a test takes. */
function assertBackoff(waits: readonly number[]): void {
  for (const [i, wait] of waits.entries()) {
    const longest = Math.min(1_000, 50 * 2 ** i);
    assertLessOrEqual(wait, longest, `wait ${i}`);
    assertGreaterOrEqual(wait, longest / 2 - 20, `wait ${i}`);
  }
}

Deno.test("attempts that fail are further and further apart, up to a second, with jitter", async () => {
  using short = new ShortWaits();
  const transport = new FakeTransport(() => Promise.reject(new TypeError("no route")));
  await using endpoint = new TestEndpoint("127.0.0.1:1", { transport });
  for (let i = 0; i < 13; i++) await assertRejects(() => endpoint.maxOffset(), NetworkError, "no route");
  assertEquals([short.waits.length, transport.dialed.length], [12, 13]);
  assertBackoff(short.waits);
  assertNotEquals(new Set(short.waits.slice(5).map(Math.round)).size, 1);
});

Deno.test("a server that accepts and hangs up at once is called further and further apart", async () => {
  using short = new ShortWaits();
  const transport = new FakeTransport(() => {
    const socket = new MemorySocket();
    socket.onWrite = () => Promise.reject(new TypeError("hung up"));
    return Promise.resolve(socket);
  });
  await using endpoint = new TestEndpoint("127.0.0.1:1", { transport });
  for (let i = 0; i < 8; i++) await assertRejects(() => endpoint.maxOffset(), NetworkError, "hung up");
  assertEquals(transport.dialed.length, 8);
  assertBackoff(short.waits);
});

Deno.test("close() fails what is pending and later calls, closes the socket and reports nothing", async () => {
  const log = new EndpointLog();
  const transport = new FakeTransport();
  await using server = new ScriptedServer();
  const endpoint = new TestEndpoint(server.address, { transport, ...log });
  const pending = assertRejects(() => endpoint.maxOffset(), NetworkError, `Connection to ${server.address} was closed`);
  await server.untilRequests(1);
  endpoint.close();
  endpoint.close();
  assertEquals((await pending).code, "CONNECTION_LOST");
  await assertRejects(() => endpoint.maxOffset(), NetworkError, "was closed");
  await server.untilOpen(0);
  assertEquals([transport.open, log.lines], [0, [`connected ${server.address}`]]);
});

Deno.test("close() ends an attempt to connect, and closes a socket that comes too late", async () => {
  using unheard = new Unheard();
  await using server = new ScriptedServer(answering);
  let connect!: () => void;
  const held = new Promise<void>((resolve) => connect = resolve);
  const sockets: Socket[] = [];
  const transport = new FakeTransport(async (host, port) => {
    await held;
    const socket = await denoTransport.connect(host, port, { signal: new AbortController().signal });
    sockets.push(socket);
    return socket;
  });
  const endpoint = new TestEndpoint(server.address, { transport });
  const waiting = assertRejects(() => endpoint.maxOffset(), NetworkError, "was closed");
  await transport.untilDialed(1);
  endpoint.close();
  connect();
  await waiting;
  await server.peer();
  await server.untilOpen(0);
  assertEquals([transport.open, sockets.length, unheard.reasons], [0, 1, []]);
});

Deno.test("close() during a pause between attempts leaves no timer", async () => {
  using unheard = new Unheard();
  const transport = new FakeTransport(() => Promise.reject(new TypeError("no route")));
  const endpoint = new TestEndpoint("127.0.0.1:1", { transport });
  for (let i = 0; i < 3; i++) await assertRejects(() => endpoint.maxOffset(), NetworkError, "no route");
  const waiting = assertRejects(() => endpoint.maxOffset(), NetworkError, "was closed");
  assertEquals(await isSettled(waiting), false);
  endpoint.close();
  await waiting;
  assertEquals([transport.dialed.length, unheard.reasons], [3, []]);
});

Deno.test("close() before the first call fails that call", async () => {
  const transport = new FakeTransport();
  const endpoint = new TestEndpoint(deadAddress(), { transport });
  endpoint.close();
  await assertRejects(() => endpoint.maxOffset(), NetworkError, "was closed");
  assertEquals(transport.open, 0);
});

Deno.test("call() with a signal that has aborted rejects with its reason and leaves no rejection unheard", async () => {
  using unheard = new Unheard();
  const transport = new FakeTransport();
  const reason = { why: "stop" };
  await using endpoint = new TestEndpoint(deadAddress(), { transport });
  assertStrictEquals(await endpoint.maxOffset(20_000, AbortSignal.abort(reason)).catch((error) => error), reason);
  await turns();
  assertEquals([transport.dialed, unheard.reasons], [[], []]);
});

Deno.test("an attempt that fails after all callers have given up leaves no rejection unheard", async () => {
  using unheard = new Unheard();
  let refuse!: (reason: unknown) => void;
  const transport = new FakeTransport(() => new Promise((_, reject) => refuse = reject));
  await using endpoint = new TestEndpoint("127.0.0.1:1", { transport });
  await assertRejects(() => endpoint.maxOffset(10), TimeoutError);
  refuse(new TypeError("no route"));
  await turns();
  assertEquals(unheard.reasons, []);
});

Deno.test("requests of the server reach onRequest; without it they are not supported", async () => {
  await using server = new ScriptedServer((asked, peer) => asked.flag === 0 && answering(asked, peer));
  const codes: number[] = [];
  await using endpoint = new TestEndpoint(server.address, {
    onRequest: (asked) => {
      codes.push(asked.code);
      return { code: 5 };
    },
  });
  await using mute = new TestEndpoint(server.address);
  await endpoint.maxOffset();
  await mute.maxOffset();
  for (const peer of server.peers) peer.ask({ code: 40, opaque: 77 });
  await server.untilRequests(4);
  assertEquals(codes, [40]);
  const replies = server.requests.filter((reply) => reply.flag === 1).map(({ code }) => code);
  assertEquals(replies.sort(), [3, 5]);
});

Deno.test("errors of an endpoint are sentences without a final period", async () => {
  await using endpoint = new TestEndpoint(deadAddress());
  const { message } = await assertRejects(() => endpoint.maxOffset(), NetworkError);
  assertMatch(message, /^Cannot connect to [^ ]+: .+[^.]$/);
  assertStringIncludes(message, endpoint.address);
});

Deno.test("an attempt to connect ends also on Node, which collects AbortSignal.timeout() inside AbortSignal.any()", async () => {
  const { timeout } = AbortSignal;
  AbortSignal.timeout = () => new AbortController().signal; // as good as collected: it never fires
  try {
    const transport = new FakeTransport((_host, _port, { signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
    );
    await using endpoint = new TestEndpoint("127.0.0.1:1", { transport, connectTimeout: 50 });
    const error = await assertRejects(() => endpoint.maxOffset(2_000));
    assertEquals((error as RocketMQError).code, "CONNECT_FAILED");
  } finally {
    AbortSignal.timeout = timeout;
  }
});

Deno.test("nothing is dialed after close(): later calls fail at once", async () => {
  const transport = new FakeTransport(() => new Promise(() => {})); // a host that drops everything
  const endpoint = new TestEndpoint("127.0.0.1:1", { transport });
  endpoint.close();
  const error = await assertRejects(() => endpoint.maxOffset(500), NetworkError, "was closed");
  assertEquals([error.code, transport.dialed], ["CONNECTION_LOST", []]);
});
