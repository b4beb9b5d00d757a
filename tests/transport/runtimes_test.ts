import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import { defaultTransport } from "../../src/transport/default.ts";
import { denoTransport } from "../../src/transport/deno.ts";
import { nodeTransport } from "../../src/transport/node.ts";
import {
  formatAddress,
  type Listener,
  parseAddress,
  type Socket,
  type Transport,
} from "../../src/transport/transport.ts";
import { testConnections } from "./connection_scenarios.ts";
import { deadAddress, ScriptedServer } from "./scripted_server.ts";
import { Changes, isSettled, Unheard } from "./waiting.ts";

const { signal } = new AbortController();

testConnections("Node", nodeTransport);
testTransport("denoTransport", denoTransport);
testTransport("nodeTransport", nodeTransport);

/** Registers the tests of what {@linkcode Transport} promises. */
function testTransport(name: string, transport: Transport): void {
  function test(what: string, run: () => Promise<void>, ignore = false): void {
    Deno.test({ name: `${name} ${what}`, ignore, fn: run });
  }

  test("connects in both directions", async () => {
    await using server = await TestListener.open(transport);
    const client = await transport.connect("127.0.0.1", server.port, { signal });
    const accepted = await server.socket(0);
    assertEquals([client.remoteAddress, client.localHost], [`127.0.0.1:${server.port}`, "127.0.0.1"]);
    assertMatch(accepted.remoteAddress, /^127\.0\.0\.1:\d+$/);
    const [there, back] = [reading(accepted), reading(client)];
    await client.write(Uint8Array.of(1, 2));
    await client.write(Uint8Array.of(3));
    await there.until([1, 2, 3]);
    await accepted.write(Uint8Array.of(4));
    await back.until([4]);
    client.close();
    await there.ended;
    await back.ended;
  });

  test("connects to IPv6 addresses, and names them in brackets", async () => {
    await using server = await TestListener.open(transport, "::1");
    const client = await transport.connect("::1", server.port, { signal });
    assertEquals([client.remoteAddress, client.localHost], [`[::1]:${server.port}`, "::1"]);
    const { ended } = reading(client);
    (await server.socket(0)).close();
    await ended;
    client.close();
  }, !hasIPv6());

  test("rejects if nobody listens", async () => {
    const { host, port } = parseAddress(deadAddress())!;
    await assertRejects(() => transport.connect(host, port, { signal }), Error);
  });

  test("rejects with the reason of a signal that has aborted", async () => {
    await using server = new ScriptedServer();
    const reason = { why: "stop" };
    const wait = transport.connect(server.host, server.port, { signal: AbortSignal.abort(reason) });
    assertStrictEquals(await wait.catch((error) => error), reason);
  });

  test("listens on a free port, and rejects if the port is taken", async () => {
    await using server = await TestListener.open(transport);
    assert(server.port > 0);
    await assertRejects(() => transport.listen("127.0.0.1", server.port, () => {}), Error);
  });

  test("closes a port and leaves its connections open, and the port can be opened again", async () => {
    await using server = await TestListener.open(transport);
    const client = await transport.connect("127.0.0.1", server.port, { signal });
    const accepted = await server.socket(0);
    await server.closePort();
    await assertRejects(() => transport.connect("127.0.0.1", server.port, { signal }), Error);
    const back = reading(client);
    await accepted.write(Uint8Array.of(5));
    await back.until([5]);
    accepted.close();
    await back.ended;
    client.close();
    const again = await transport.listen("127.0.0.1", server.port, () => {});
    await again.close();
  });

  test("ends what is pending when a socket is closed, which may be done twice", async () => {
    await using server = new ScriptedServer(undefined, { reads: false });
    const socket = await transport.connect(server.host, server.port, { signal });
    const received = socket.receive(() => {});
    const written = socket.write(new Uint8Array(16_000_000));
    assertEquals([await isSettled(received), await isSettled(written)], [false, false]);
    socket.close();
    socket.close();
    await received.catch(() => {});
    await assertRejects(() => written);
    await assertRejects(() => socket.write(Uint8Array.of(1)));
  });

  test("rejects receive() with what its listener throws", async () => {
    await using server = new ScriptedServer();
    const socket = await transport.connect(server.host, server.port, { signal });
    const received = socket.receive(() => {
      throw new RangeError("not these");
    });
    (await server.peer()).send(Uint8Array.of(1));
    await assertRejects(() => received, RangeError, "not these");
    socket.close();
  });

  test("reads nothing more before the promise of receive()'s listener resolves, and fails as it fails", async () => {
    await using server = new ScriptedServer();
    const socket = await transport.connect(server.host, server.port, { signal });
    const listener = new Changes();
    const seen: number[] = [];
    const go: { on: () => void; fail: (reason: unknown) => void }[] = [];
    const received = socket.receive((bytes) => {
      seen.push(bytes[0]!);
      return new Promise((on, fail) => {
        go.push({ on, fail });
        listener.notify();
      });
    });
    const peer = await server.peer();
    peer.send(Uint8Array.of(1));
    await listener.until(() => seen.length === 1, "the first bytes");
    peer.send(Uint8Array.of(2));
    assertEquals([await isSettled(received), seen], [false, [1]]);
    go[0]!.on();
    await listener.until(() => seen.length === 2, "the second bytes");
    go[1]!.fail(new RangeError("not these"));
    await assertRejects(() => received, RangeError, "not these");
    socket.close();
  });

  test("gives up a TLS handshake that the other side does not answer, with the signal's reason", async () => {
    using unheard = new Unheard();
    await using server = new ScriptedServer(undefined, { reads: false });
    const stop = new AbortController();
    const reason = { why: "stop" };
    const wait = transport.connect(server.host, server.port, { signal: stop.signal, tls: {} });
    await server.peer();
    assertEquals(await isSettled(wait), false);
    stop.abort(reason);
    assertStrictEquals(await wait.catch((error) => error), reason);
    assertEquals(unheard.reasons, []);
  });

  test("closes the socket of a TLS handshake that fails", async () => {
    using unheard = new Unheard();
    await using server = new ScriptedServer(undefined, {
      reads: false,
      onAccept: (peer) => peer.send(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n")),
    });
    await assertRejects(() => transport.connect(server.host, server.port, { signal, tls: {} }), Error);
    assertEquals(unheard.reasons, []);
  });
}

Deno.test("defaultTransport() is that of the runtime", async () => {
  assertStrictEquals(await defaultTransport(), denoTransport);
});

Deno.test("parseAddress() reads host:port and nothing else", () => {
  const good: [string, string, number][] = [
    ["localhost:9876", "localhost", 9876],
    ["10.0.0.5:1", "10.0.0.5", 1],
    ["my-ns_1.example.com:65535", "my-ns_1.example.com", 65_535],
    ["[::1]:9876", "::1", 9876],
    ["[fe80::1:2]:80", "fe80::1:2", 80],
  ];
  for (const [text, host, port] of good) {
    assertEquals(parseAddress(text), { host, port });
    assertEquals(formatAddress(host, port), text);
  }
  const bad = [
    "",
    ":1",
    "a",
    "a:",
    "a:0",
    "a:65536",
    "a:123456",
    "a:1x",
    "a:-1",
    "a:1.5",
    " a:1",
    "a:1 ",
    "a b:1",
    "::1:9876",
  ];
  bad.push("http://a:1", "a:1/", "user@a:1", "[x]:1", "[::1]", "[::1]9876", "[]:1", "a:1;b:2", "a:\n1");
  for (const text of bad) assertEquals(parseAddress(text), undefined, text);
});

/** Whether this machine has the IPv6 loopback address: containers may not. */
function hasIPv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/** A port, and the sockets that it has accepted: all closed with the test. */
class TestListener {
  readonly port: number;
  #listener: Listener | undefined;
  #sockets: Socket[];
  #changes: Changes;

  static async open(transport: Transport, host = "127.0.0.1"): Promise<TestListener> {
    const sockets: Socket[] = [];
    const changes = new Changes();
    const listener = await transport.listen(host, 0, (socket) => {
      sockets.push(socket);
      changes.notify();
    });
    return new TestListener(listener, sockets, changes);
  }

  private constructor(listener: Listener, sockets: Socket[], changes: Changes) {
    this.port = listener.port;
    this.#listener = listener;
    this.#sockets = sockets;
    this.#changes = changes;
  }

  async socket(index: number): Promise<Socket> {
    await this.#changes.until(() => this.#sockets.length > index, `accepted socket ${index}`);
    return this.#sockets[index]!;
  }

  async closePort(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    await listener?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    await this.closePort();
  }
}

/** What a socket receives, from now on. */
function reading(socket: Socket): { ended: Promise<void>; until(bytes: number[]): Promise<void> } {
  const received: number[] = [];
  const changes = new Changes();
  const ended = socket.receive((bytes) => {
    received.push(...bytes);
    changes.notify();
  });
  return {
    ended,
    until: (bytes) => changes.until(() => `${received}` === `${bytes}`, `the bytes ${bytes}`),
  };
}
