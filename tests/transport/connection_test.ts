import { assert, assertEquals, assertLessOrEqual, assertRejects, assertStrictEquals } from "@std/assert";
import { NetworkError, TimeoutError, ValidationError } from "../../src/errors.ts";
import { Connection, type OutgoingRequest } from "../../src/transport/connection.ts";
import { denoTransport } from "../../src/transport/deno.ts";
import type { Socket } from "../../src/transport/transport.ts";
import { MAX_FRAME_SIZE } from "../../src/wire/frame.ts";
import { JsonFields } from "../../src/wire/json_fields.ts";
import { testConnections } from "./connection_scenarios.ts";
import { MemorySocket } from "./memory_socket.ts";
import { ScriptedServer } from "./scripted_server.ts";
import { Changes, isSettled, turns, Unheard } from "./waiting.ts";

const LONG = { timeout: 20_000 };
const request: OutgoingRequest = { name: "Test", code: 105, fields: JsonFields.ofText({ topic: "orders" }) };

testConnections("Deno", denoTransport);

/** Counts the timers that run while it is in place. */
class TimerCount {
  started = 0;
  #running = new Set<unknown>();
  #real = { setTimeout, clearTimeout };

  constructor() {
    const { setTimeout: set, clearTimeout: clear } = this.#real;
    const counted = (run: () => void, ms: number) => {
      const id = set(() => {
        this.#running.delete(id);
        run();
      }, ms);
      this.started++;
      this.#running.add(id);
      return id;
    };
    const cleared = (id?: number) => {
      this.#running.delete(id);
      clear(id);
    };
    Object.assign(globalThis, { setTimeout: counted, clearTimeout: cleared });
  }

  get running(): number {
    return this.#running.size;
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, this.#real);
  }
}

Deno.test("Connection serves all deadlines with one timer, and leaves none when it closes", async () => {
  using timers = new TimerCount();
  const connection = new Connection(new MemorySocket());
  const waits = Array.from({ length: 500 }, (_, i) => connection.request(request, { timeout: 20_000 - i % 7 * 1_000 }));
  assertEquals(timers.running, 1);
  assertLessOrEqual(timers.started, 7);
  connection.close();
  assertEquals(timers.running, 0);
  await Promise.allSettled(waits);
});

Deno.test("Connection takes a deadline that is earlier than the one its timer is set for", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket);
  const later = connection.request(request, LONG);
  const sooner = connection.request(request, { timeout: 30 });
  socket.deliver({ code: 40, opaque: 1, flag: 2 }); // the peer is there
  await assertRejects(() => sooner, TimeoutError);
  assert(connection.isOpen);
  connection.close();
  await assertRejects(() => later, NetworkError);
});

Deno.test("Connection keeps a peer that answered another request, or asked something, while one timed out", async () => {
  const says = [{ code: 0, opaque: 2, flag: 1 }, { code: 40, opaque: 9, flag: 2 }, { code: 0, opaque: 999, flag: 1 }];
  await Promise.all(says.map(async (said) => {
    const socket = new MemorySocket();
    const connection = new Connection(socket);
    const silent = assertRejects(() => connection.request(request, { timeout: 1_200 }), TimeoutError);
    const other = connection.request(request, LONG);
    socket.deliver(said);
    await silent;
    assert(connection.isOpen);
    connection.close();
    await Promise.allSettled([other]);
  }));
});

Deno.test("Connection writes 1 000 requests of one tick at once", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket);
  const waits = Array.from({ length: 1_000 }, () => connection.request(request, LONG));
  await turns();
  assertEquals([socket.writes.length, socket.written.length], [1, 1_000]);
  for (const { opaque } of socket.written) socket.deliver({ code: 0, opaque, flag: 1 });
  await Promise.all(waits);
  connection.close();
});

Deno.test("Connection gathers what comes during a write for the next one", async () => {
  const socket = new MemorySocket();
  const changes = new Changes();
  let release!: () => void;
  socket.onWrite = () => {
    changes.notify();
    return new Promise((resolve) => release = resolve);
  };
  const connection = new Connection(socket);
  const waits = [connection.request(request, LONG)];
  await changes.until(() => socket.writes.length === 1, "the first write");
  for (let i = 0; i < 99; i++) {
    waits.push(connection.request(request, LONG));
    await Promise.resolve();
  }
  assertEquals(socket.writes.length, 1);
  release();
  await changes.until(() => socket.writes.length === 2, "the second write");
  assertEquals(socket.written.length, 100);
  release();
  connection.close();
  await Promise.allSettled(waits);
});

Deno.test("Connection writes frames whole and in order, whatever their sizes", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket);
  const sizes = [10, 300_000, 20, 100_000, 100_000, 100_000, 5, 262_144, 1];
  const sent = sizes.map((size) => connection.sendOneway({ ...request, body: new Uint8Array(size) }));
  await Promise.all(sent);
  assertEquals(socket.written.map(({ body }) => body.length), sizes);
  assertLessOrEqual(socket.writes.length, 6);
  connection.close();
});

Deno.test("Connection fills bytes that have been written again, and none that are being written", async () => {
  const socket = new MemorySocket();
  const changes = new Changes();
  const written: Uint8Array[] = [];
  const copies: Uint8Array[] = [];
  let release = () => {};
  socket.write = (bytes) => {
    written.push(bytes);
    copies.push(bytes.slice());
    changes.notify();
    return new Promise((resolve) => release = resolve);
  };
  const connection = new Connection(socket);
  const sent: Promise<void>[] = [];
  for (let round = 1; round <= 4; round++) {
    sent.push(connection.sendOneway({ ...request, body: new Uint8Array(100 * round).fill(round) }));
    await changes.until(() => written.length === round, "the next write");
    sent.push(connection.sendOneway({ ...request, body: new Uint8Array(10).fill(99) })); // gathers for the next one
    assertEquals(written[round - 1], copies[round - 1]);
    release();
  }
  assertEquals(new Set(written.map(({ buffer }) => buffer)).size, 2);
  connection.close();
  await Promise.allSettled(sent);
});

Deno.test("Connection writes 1 000 requests of one tick in few packets of a real socket", async () => {
  await using server = new ScriptedServer((asked, peer) => peer.answer(asked));
  const socket = await denoTransport.connect(server.host, server.port, { signal: new AbortController().signal });
  let writes = 0;
  const counted: Socket = {
    remoteAddress: socket.remoteAddress,
    localHost: socket.localHost,
    localPort: socket.localPort,
    receive: (onBytes) => socket.receive(onBytes),
    close: () => socket.close(),
    write: (bytes) => {
      writes++;
      return socket.write(bytes);
    },
  };
  const connection = new Connection(counted);
  await Promise.all(Array.from({ length: 1_000 }, () => connection.request(request, LONG)));
  assertEquals(writes, 1);
  connection.close();
});

Deno.test("Connection closes when a write fails, and says why to all who wait", async () => {
  const socket = new MemorySocket();
  socket.onWrite = () => Promise.reject(new TypeError("no route"));
  const connection = new Connection(socket);
  const waits = [connection.request(request, LONG), connection.sendOneway(request)];
  const errors = await Promise.all(waits.map((wait) => assertRejects(() => wait, NetworkError, "no route")));
  assertStrictEquals(errors[0], errors[1]);
  assertEquals([errors[0]!.code, (errors[0]!.cause as Error).message], ["CONNECTION_LOST", "no route"]);
  assertEquals([connection.isOpen, socket.closes], [false, 1]);
});

Deno.test("Connection takes its listeners off a signal when the answer is there", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket);
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener: add, removeEventListener: remove } = signal;
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add.apply(signal, args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove.apply(signal, args));
  for (let opaque = 1; opaque <= 10; opaque++) {
    const answer = connection.request(request, { ...LONG, signal });
    assertEquals(listeners, 1);
    socket.deliver({ code: 0, opaque, flag: 1 });
    await answer;
    assertEquals(listeners, 0);
  }
  connection.close();
});

Deno.test("Connection uses other opaques than those that are pending", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket);
  const waits = Array.from({ length: 100 }, () => connection.request(request, LONG));
  for (let opaque = 1; opaque <= 100; opaque += 2) socket.deliver({ code: 0, opaque, flag: 1 });
  waits.push(...Array.from({ length: 50 }, () => connection.request(request, LONG)));
  await turns();
  const opaques = socket.written.map(({ opaque }) => opaque);
  assertEquals(new Set(opaques).size, 150);
  connection.close();
  await Promise.allSettled(waits);
});

Deno.test("Connection ignores what arrives after it was closed", async () => {
  const socket = new MemorySocket();
  let served = 0;
  const connection = new Connection(socket, undefined, { onRequest: () => ({ code: served++ }) });
  const wait = connection.request(request, LONG);
  connection.close();
  socket.deliver({ code: 0, opaque: 1, flag: 1 });
  socket.deliver({ code: 40, opaque: 1 });
  await assertRejects(() => wait, NetworkError);
  assertEquals([served, await isSettled(connection.closed)], [0, true]);
});

Deno.test("Connection lets a handler close it", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket, undefined, {
    onRequest: (_, from) => {
      from.close();
      return { code: 0 };
    },
  });
  socket.deliver({ code: 40, opaque: 1 });
  await connection.closed;
  await turns();
  assertEquals(socket.writes, []);
});

Deno.test("Connection is not closed by a short timeout: others wait on it", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket);
  const held = connection.request(request, LONG);
  await assertRejects(() => connection.request(request, { timeout: 1 }), TimeoutError);
  const stillOpen = connection.isOpen;
  socket.deliver({ code: 0, opaque: 1, flag: 1 });
  await Promise.allSettled([held]);
  connection.close();
  assert(stillOpen, "a request that had 1 ms of time cut the connection");
});

Deno.test("Connection answers 1 if a handler rejects with something that has no text", async () => {
  using unheard = new Unheard();
  const socket = new MemorySocket();
  const connection = new Connection(socket, undefined, { onRequest: () => Promise.reject(Object.create(null)) });
  socket.deliver({ code: 40, opaque: 1 });
  await turns();
  connection.close();
  assertEquals([unheard.reasons, socket.written.map(({ code }) => code)], [[], [1]]);
});

Deno.test("Connection answers 1 if a reply cannot be written as a frame", async () => {
  using unheard = new Unheard();
  const socket = new MemorySocket();
  const body = new Uint8Array(MAX_FRAME_SIZE);
  const connection = new Connection(socket, undefined, { onRequest: () => ({ code: 0, body }) });
  socket.deliver({ code: 40, opaque: 1 });
  await turns();
  connection.close();
  assertEquals([unheard.reasons, socket.written.map(({ code }) => code)], [[], [1]]);
});

Deno.test("request() rejects at once, and waits for nothing, if the request cannot be written as a frame", async () => {
  using unheard = new Unheard();
  const socket = new MemorySocket();
  const connection = new Connection(socket);
  const body = new Uint8Array(MAX_FRAME_SIZE);
  await assertRejects(() => connection.request({ ...request, body }, LONG), ValidationError);
  connection.close();
  await turns();
  assertEquals(unheard.reasons, []);
});

Deno.test("Connection does not cut a peer that reads because of what one tick brings", async () => {
  await using server = new ScriptedServer();
  const socket = await denoTransport.connect(server.host, server.port, { signal: new AbortController().signal });
  const connection = new Connection(socket, undefined, { maxQueuedBytes: 1_000_000 });
  const sent = Array.from({ length: 5 }, () => connection.sendOneway({ ...request, body: new Uint8Array(300_000) }));
  const results = await Promise.allSettled(sent);
  connection.close();
  assertEquals(results.map(({ status }) => status), Array(5).fill("fulfilled"));
});

Deno.test("sendOneway() rejects if the request cannot be written as a frame", async () => {
  const connection = new Connection(new MemorySocket());
  await assertRejects(
    () => connection.sendOneway({ ...request, body: new Uint8Array(MAX_FRAME_SIZE) }),
    ValidationError,
  );
  assert(connection.isOpen);
  connection.close();
});

Deno.test("Connection finds a silent peer out also if every single request has a short timeout", async () => {
  const connection = new Connection(new MemorySocket());
  for (let i = 0; i < 20 && connection.isOpen; i++) {
    await assertRejects(() => connection.request(request, { timeout: 200 }), TimeoutError);
  }
  const wasFound = !connection.isOpen;
  connection.close();
  assert(wasFound, "20 requests of 200 ms each timed out without a byte from the peer");
});
