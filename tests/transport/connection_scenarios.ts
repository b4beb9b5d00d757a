/** What a connection does on real sockets: the same tests for every transport. */

import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { NetworkError, RocketMQError, TimeoutError } from "../../src/errors.ts";
import { Connection, type ConnectionOptions, type OutgoingRequest } from "../../src/transport/connection.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { type Command, encodeFrame } from "../../src/wire/frame.ts";
import { JsonFields } from "../../src/wire/json_fields.ts";
import { ScriptedServer } from "./scripted_server.ts";
import { Changes, isSettled, turns } from "./waiting.ts";

/** A timeout that does not pass in a test that succeeds. */
const LONG = { timeout: 20_000 };
/** After so much silence a peer counts as gone, in milliseconds. */
const SILENCE = 1_200;

const request: OutgoingRequest = { name: "Test", code: 105, fields: JsonFields.ofText({ topic: "orders" }) };

/** The same request with a number, so that the server can distinguish them. */
function numbered(number: number): OutgoingRequest {
  return { ...request, fields: JsonFields.ofText({ number: `${number}` }) };
}

function numberOf(command: Command): number {
  return Number(command.fields["number"]);
}

/** Registers the tests for one transport. */
export function testConnections(runtime: string, transport: Transport): void {
  /** Opens a connection to a server; it closes with the test. */
  async function open(server: ScriptedServer, options: ConnectionOptions = {}): Promise<TestConnection> {
    const socket = await transport.connect(server.host, server.port, { signal: new AbortController().signal });
    return new TestConnection(new Connection(socket, server.address, options));
  }

  function test(name: string, run: () => Promise<void>): void {
    Deno.test(`Connection on ${runtime} sockets: ${name}`, run);
  }

  test("answers find their requests in any order", async () => {
    await using server = new ScriptedServer();
    await using client = await open(server);
    const answers = Array.from({ length: 50 }, (_, i) => client.connection.request(numbered(i), LONG));
    await server.untilRequests(50);
    const peer = await server.peer();
    for (const asked of server.requests.toReversed()) peer.answer(asked, { code: numberOf(asked) });
    const codes = (await Promise.all(answers)).map((answer) => answer.code);
    assertEquals(codes, Array.from({ length: 50 }, (_, i) => i));
    assertEquals(new Set(server.requests.map((asked) => asked.opaque)).size, 50);
  });

  test("a request carries code, fields and body, and neither flag", async () => {
    await using server = new ScriptedServer((asked, peer) => peer.answer(asked, { body: asked.body, remark: "r" }));
    await using client = await open(server);
    const answer = await client.connection.request({ ...request, body: Uint8Array.of(1, 2) }, LONG);
    const [asked] = server.requests;
    assertEquals([asked!.code, { ...asked!.fields }, asked!.flag], [105, { topic: "orders" }, 0]);
    assertEquals([answer.code, answer.remark, answer.body], [0, "r", Uint8Array.of(1, 2)]);
  });

  test("an answer that nobody waits for any more, or ever did, is dropped", async () => {
    await using server = new ScriptedServer();
    await using client = await open(server);
    const stop = new AbortController();
    const late = client.connection.request(numbered(1), { ...LONG, signal: stop.signal });
    await server.untilRequests(1);
    stop.abort(new RangeError("enough"));
    await assertRejects(() => late, RangeError, "enough");

    const peer = await server.peer();
    const next = client.connection.request(numbered(2), LONG);
    await server.untilRequests(2);
    const [first, second] = server.requests;
    peer.answer(first!, { code: 1 });
    for (const opaque of [0, -1, 2 ** 31 - 1, 2 ** 40, 1.5]) peer.send(encodeFrame({ code: 2, opaque, flag: 1 }));
    peer.answer(second!, { code: 3 });
    peer.answer(second!, { code: 4 });
    assertEquals((await next).code, 3);
    assert(client.connection.isOpen);
  });

  test("a peer that is silent for the whole time of a request is gone: all requests fail, the socket closes", async () => {
    await using server = new ScriptedServer();
    await using client = await open(server);
    const other = assertRejects(
      () => client.connection.request(numbered(1), LONG),
      NetworkError,
      "nothing was received",
    );
    await assertRejects(() => client.connection.request(numbered(2), { timeout: SILENCE }), TimeoutError);
    assertEquals([(await other).code, (await other).address], ["CONNECTION_LOST", server.address]);
    assertStrictEquals(await client.connection.closed, await other);
    await (await server.peer()).ended;
  });

  test("requests time out each at its own time, while the peer answers others", async () => {
    await using server = new ScriptedServer((asked, peer) => numberOf(asked) === 0 && peer.answer(asked));
    await using client = await open(server);
    const started = performance.now();
    const waits = [300, 60, 180, 120, 240].map(async (timeout) => {
      const error = await assertRejects(() => client.connection.request(numbered(1), { timeout }), TimeoutError);
      assertEquals([error.timeout, error.code, error.retriable], [timeout, "TIMEOUT", true]);
      assertStringIncludes(error.message, `Cannot complete Test on ${server.address}: no answer within ${timeout} ms`);
      assertGreaterOrEqual(performance.now() - started, timeout);
    });
    let stopped = false;
    const others = (async () => {
      while (!stopped) await client.connection.request(numbered(0), LONG);
    })();
    await Promise.all(waits);
    stopped = true;
    await others;
    assert(client.connection.isOpen);
  });

  test("a signal that has aborted sends nothing, a signal that aborts later ends the wait with its reason", async () => {
    await using server = new ScriptedServer((asked, peer) => numberOf(asked) === 2 && peer.answer(asked));
    await using client = await open(server);
    const reason = { why: "stop" };
    const gone = client.connection.request(numbered(1), { ...LONG, signal: AbortSignal.abort(reason) });
    assertStrictEquals(await gone.catch((error) => error), reason);
    const { signal } = new AbortController();
    await client.connection.request(numbered(2), { ...LONG, signal });
    assertEquals(server.requests.map(numberOf), [2]);

    const stop = new AbortController();
    const waiting = client.connection.request(numbered(3), { ...LONG, signal: stop.signal });
    await server.untilRequests(2);
    stop.abort(reason);
    assertStrictEquals(await waiting.catch((error) => error), reason);
    await client.connection.request(numbered(2), { ...LONG, signal });
  });

  test("requests of the other side are served, also under an opaque that is pending on this side", async () => {
    const served: Command[] = [];
    await using server = new ScriptedServer();
    await using client = await open(server, {
      onRequest: (asked, connection) => {
        served.push(asked);
        assertStrictEquals(connection, client.connection);
        return { code: 7, remark: "served", fields: { a: "b" }, body: asked.body };
      },
    });
    const pending = client.connection.request(request, LONG);
    await server.untilRequests(1);
    const [mine] = server.requests;
    const peer = await server.peer();
    peer.ask({ code: 221, opaque: mine!.opaque, fields: { c: "d" }, body: Uint8Array.of(9) });
    await server.untilRequests(2);
    const reply = server.requests[1]!;
    assertEquals(
      [reply.opaque, reply.flag, reply.code, reply.remark, { ...reply.fields }, reply.body],
      [mine!.opaque, 1, 7, "served", { a: "b" }, Uint8Array.of(9)],
    );
    assertEquals([served[0]!.code, { ...served[0]!.fields }], [221, { c: "d" }]);
    assertEquals(await isSettled(pending), false);
    peer.answer(mine!, { code: 5 });
    assertEquals((await pending).code, 5);
  });

  test("a handler that fails answers 1, one that has nothing to say and no handler at all answer 3", async () => {
    await using server = new ScriptedServer();
    await using client = await open(server, {
      onRequest: (asked) => {
        if (asked.code === 1) throw new RangeError("no good");
        if (asked.code === 2) return Promise.reject(new TypeError("no better"));
        return undefined as never;
      },
    });
    await using mute = await open(server);
    const [first, second] = [await server.peer(0), await server.peer(1)];
    for (const [index, code] of [1, 2, 3].entries()) {
      first.ask({ code, opaque: code });
      await server.untilRequests(index + 1);
    }
    second.ask({ code: 4, opaque: -4 });
    await server.untilRequests(4);
    assertEquals(server.requests.map(({ opaque, flag, code, remark }) => [opaque, flag, code, remark]), [
      [1, 1, 1, "RangeError: no good"],
      [2, 1, 1, "TypeError: no better"],
      [3, 1, 3, "request type 3 not supported"],
      [-4, 1, 3, "request type 4 not supported"],
    ]);
    assert(client.connection.isOpen && mute.connection.isOpen);
  });

  test("a oneway request gets no answer, whatever becomes of it", async () => {
    const served: number[] = [];
    const changes = new Changes();
    await using server = new ScriptedServer();
    await using client = await open(server, {
      onRequest: (asked) => {
        served.push(asked.code);
        changes.notify();
        if (asked.code === 1) throw new RangeError("no good");
        return asked.code === 2 ? undefined as never : { code: 0 };
      },
    });
    const peer = await server.peer();
    for (const code of [1, 2, 3]) peer.ask({ code, opaque: code, flag: 2 });
    peer.ask({ code: 4, opaque: 4 });
    await server.untilRequests(1);
    await changes.until(() => served.length === 4, "all requests served");
    assertEquals(served, [1, 2, 3, 4]);
    assertEquals(server.requests.map(({ opaque }) => opaque), [4]);
    assert(client.connection.isOpen);
  });

  test("replies leave when they are ready, not in the order of the requests", async () => {
    await using server = new ScriptedServer();
    let release!: () => void;
    const held = new Promise<void>((resolve) => release = resolve);
    await using client = await open(server, {
      onRequest: async (asked) => {
        if (asked.code === 1) await held;
        return { code: 0 };
      },
    });
    const peer = await server.peer();
    peer.ask({ code: 1, opaque: 1 });
    peer.ask({ code: 2, opaque: 2 });
    await server.untilRequests(1);
    release();
    await server.untilRequests(2);
    assertEquals(server.requests.map(({ opaque }) => opaque), [2, 1]);
    assert(client.connection.isOpen);
  });

  test("a reply that is ready after the connection has closed goes nowhere", async () => {
    await using server = new ScriptedServer();
    let release!: () => void;
    const held = new Promise<void>((resolve) => release = resolve);
    const changes = new Changes();
    let serving = false;
    await using client = await open(server, {
      onRequest: async () => {
        serving = true;
        changes.notify();
        await held;
        return { code: 0 };
      },
    });
    (await server.peer()).ask({ code: 1, opaque: 1 });
    await changes.until(() => serving, "the request is being served");
    client.connection.close();
    release();
    await (await server.peer()).ended;
    assertEquals(server.requests, []);
  });

  test("sendOneway() marks the request and resolves when it is written, without any answer", async () => {
    await using server = new ScriptedServer();
    await using client = await open(server);
    await Promise.all([1, 2, 3].map((number) => client.connection.sendOneway(numbered(number))));
    await server.untilRequests(3);
    assertEquals(server.requests.map((asked) => [numberOf(asked), asked.flag]), [[1, 2], [2, 2], [3, 2]]);
    assert(client.connection.isOpen);
  });

  test("sendOneway() waits for a peer that does not read, and fails when the connection closes", async () => {
    await using server = new ScriptedServer(undefined, { reads: false });
    await using client = await open(server);
    const sent = client.connection.sendOneway({ ...request, body: new Uint8Array(16_000_000) });
    const queued = client.connection.sendOneway(request);
    assertEquals([await isSettled(sent), await isSettled(queued)], [false, false]);
    const reason = new RocketMQError("enough", { code: "ENOUGH" });
    client.connection.close(reason);
    for (const promise of [sent, queued]) assertStrictEquals(await promise.catch((error) => error), reason);
  });

  test("large bodies arrive whole in both directions, and small frames among them in order", async () => {
    await using server = new ScriptedServer((asked, peer) => peer.answer(asked, { body: asked.body }));
    await using client = await open(server);
    const sizes = [0, 1, 262_143, 262_144, 262_145, 5_000_000, 3, 1_000_000];
    const bodies = sizes.map((size) => Uint8Array.from({ length: size }, (_, i) => i * 7 + (i >> 8)));
    const answers = await Promise.all(bodies.map((body) => client.connection.request({ ...request, body }, LONG)));
    for (const [i, { body }] of answers.entries()) assert(equalBytes(body, bodies[i]!), `body of ${sizes[i]} bytes`);
    for (const [i, { body }] of server.requests.entries()) assert(equalBytes(body, bodies[i]!));
  });

  test("an answer may come byte by byte", async () => {
    await using server = new ScriptedServer((asked, peer) => {
      for (const byte of encodeFrame({ code: 9, opaque: asked.opaque, flag: 1 })) peer.send(Uint8Array.of(byte));
    });
    await using client = await open(server);
    assertEquals((await client.connection.request(request, LONG)).code, 9);
  });

  test("bytes that are no frame close their own connection only, and say so to all who wait on it", async () => {
    const bad: [string, Uint8Array][] = [
      ["it speaks HTTP", new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n")],
      ["it speaks HTTP/2, as the gRPC port", Uint8Array.of(0, 0, 0x12, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100)],
      ["it requires TLS", Uint8Array.of(0x15, 3, 3, 0, 2, 2, 70)],
      ['it begins with "SSH-2.0-OpenSSH_', new TextEncoder().encode("SSH-2.0-OpenSSH_9.6\r\n")],
      ["its length word is 0", Uint8Array.of(0, 0, 0, 0)],
      ["its header encoding is 9", Uint8Array.of(0, 0, 0, 4, 9, 0, 0, 0)],
      ["its header is no JSON", Uint8Array.of(0, 0, 0, 6, 0, 0, 0, 2, 0x7b, 0x5d)],
      ["its header ends at byte", Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 9)],
    ];
    await using server = new ScriptedServer((asked, peer) => numberOf(asked) === 0 && peer.answer(asked));
    await using healthy = await open(server);
    for (const [i, [words, bytes]] of bad.entries()) {
      await using client = await open(server);
      const waits = [1, 2].map((number) => client.connection.request(numbered(number), LONG));
      const errors = waits.map((wait) => assertRejects(() => wait, NetworkError, words));
      const peer = await server.peer(i + 1);
      peer.send(bytes);
      const [error] = await Promise.all(errors);
      assertEquals([error!.code, error!.address], ["MALFORMED_FRAME", server.address]);
      assertStringIncludes(error!.message, `Lost the connection to ${server.address}`);
      assertStrictEquals(await client.connection.closed, error);
      await peer.ended;
    }
    assertEquals((await healthy.connection.request(numbered(0), LONG)).code, 0);
  });

  test("frames before the bytes that are none still count", async () => {
    await using server = new ScriptedServer((asked, peer) => {
      const good = encodeFrame({ code: 4, opaque: asked.opaque, flag: 1 });
      peer.send(Uint8Array.of(...good, 0xff, 0xff, 0xff, 0xff));
    });
    await using client = await open(server);
    assertEquals((await client.connection.request(request, LONG)).code, 4);
    assertEquals((await client.connection.closed).code, "MALFORMED_FRAME");
  });

  test("close() fails what is pending and what comes later with one reason, and may be called twice", async () => {
    await using server = new ScriptedServer();
    await using client = await open(server);
    const { connection } = client;
    const { signal } = new AbortController();
    const waits = [connection.request(request, LONG), connection.request(request, { ...LONG, signal })];
    await server.untilRequests(2);
    connection.close();
    connection.close(new RocketMQError("later", { code: "LATER" }));
    assert(!connection.isOpen);
    waits.push(connection.request(request, LONG));
    const reason = await connection.closed;
    for (const wait of waits) assertStrictEquals(await wait.catch((error) => error), reason);
    assertStrictEquals(await connection.sendOneway(request).catch((error) => error), reason);
    assert(reason instanceof NetworkError);
    assertEquals([reason.code, reason.address], ["CONNECTION_LOST", server.address]);
    assertStringIncludes(reason.message, `Connection to ${server.address} was closed`);
    await (await server.peer()).ended;
  });

  test("a peer that closes, ends its stream or resets the connection ends it", async () => {
    const ends: ((server: ScriptedServer) => Promise<void>)[] = [
      async (server) => (await server.peer()).close(),
      async (server) => (await server.peer()).closeWrite(),
    ];
    for (const end of ends) {
      await using server = new ScriptedServer();
      await using client = await open(server);
      const wait = assertRejects(() => client.connection.request(request, LONG), NetworkError, "closed");
      await server.untilRequests(1);
      await end(server);
      assertEquals((await wait).code, "CONNECTION_LOST");
    }
    await using server = new ScriptedServer(undefined, { reads: false });
    await using client = await open(server);
    const wait = assertRejects(() => client.connection.request(request, LONG), NetworkError, "Lost the connection");
    const peer = await server.peer();
    assertEquals(await isSettled(wait), false); // the request is on its way: closing without reading it resets
    peer.close();
    assertEquals((await wait).code, "CONNECTION_LOST");
  });

  test("requests to a peer that does not read are refused once maxQueuedBytes wait for it, until it reads", async () => {
    await using server = new ScriptedServer(undefined, { reads: false });
    await using client = await open(server, { maxQueuedBytes: 1_000_000 });
    const send = (size: number) => client.connection.sendOneway({ ...request, body: new Uint8Array(size) });
    const sent = [send(15_000_000), send(0)];
    assertEquals([await isSettled(sent[0]!), await isSettled(sent[1]!)], [false, false]);
    for (let i = 0; i < 10; i++) {
      const error = await assertRejects(() => send(300_000), NetworkError, "the other side does not read");
      assertEquals([error.code, error.retriable, error.address], ["WRITE_BACKLOG", true, server.address]);
      await assertRejects(() => client.connection.request(request, LONG), NetworkError, "does not read");
    }
    assert(client.connection.isOpen);
    (await server.peer()).read();
    await Promise.all(sent);
    await send(300_000);
    await server.untilRequests(3);
    assertEquals(server.requests.map(({ body }) => body.length), [15_000_000, 0, 300_000]);
  });

  test("a peer that does not read its answers is cut off when more than maxQueuedBytes wait for it", async () => {
    await using server = new ScriptedServer(undefined, { reads: false });
    const options = { maxQueuedBytes: 1_000_000, onRequest: () => ({ code: 0, body: new Uint8Array(4_000_000) }) };
    await using client = await open(server, options);
    const peer = await server.peer();
    const pending = assertRejects(() => client.connection.request(request, LONG), NetworkError, "does not read");
    for (let opaque = 1; opaque <= 30; opaque++) {
      peer.ask({ code: 40, opaque });
      await turns();
    }
    const error = await client.connection.closed;
    assertEquals(error.code, "CONNECTION_LOST"); // what waits for an answer may have been read
    assertEquals((await pending).code, "CONNECTION_LOST");
  });

  test("a peer that reads is not cut off, however much it gets", async () => {
    await using server = new ScriptedServer();
    await using client = await open(server, { maxQueuedBytes: 1_000_000 });
    for (let i = 0; i < 40; i++) await client.connection.sendOneway({ ...request, body: new Uint8Array(900_000) });
    await server.untilRequests(40);
    assert(client.connection.isOpen);
  });

  test("the addresses of both sides are known", async () => {
    await using server = new ScriptedServer();
    const socket = await transport.connect("127.0.0.1", server.port, { signal: new AbortController().signal });
    assertEquals([socket.remoteAddress, socket.localHost], [server.address, "127.0.0.1"]);
    await using client = new TestConnection(new Connection(socket));
    assertEquals([client.connection.address, client.connection.localHost], [server.address, "127.0.0.1"]);
  });
}

/** A connection that closes with the test that opened it. */
class TestConnection {
  readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.close();
    await this.connection.closed;
  }
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
