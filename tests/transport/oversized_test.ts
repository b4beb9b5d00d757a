import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { AnswerTooLargeError, NetworkError, TimeoutError } from "../../src/errors.ts";
import { Connection, type OutgoingRequest } from "../../src/transport/connection.ts";
import { type CommandInit, encodeFrame, MAX_FRAME_SIZE } from "../../src/wire/frame.ts";
import { NO_FIELDS } from "../../src/wire/json_fields.ts";
import { MemorySocket } from "./memory_socket.ts";
import { isSettled, turns } from "./waiting.ts";

const LONG = { timeout: 20_000 };
const SIZE = 40_000_000;
const request: OutgoingRequest = { name: "PullMessage", code: 11, fields: NO_FIELDS };

/** The beginning of a frame of {@linkcode SIZE} bytes. */
function headOf(command: CommandInit, size = SIZE): Uint8Array {
  const head = encodeFrame(command);
  new DataView(head.buffer).setUint32(0, size - 4);
  return head;
}

/** Lets the body of such a frame arrive. */
function deliverRest(socket: MemorySocket, head: Uint8Array): void {
  const piece = new Uint8Array(65_536);
  let left = SIZE - head.length;
  for (; left > piece.length; left -= piece.length) socket.deliverBytes(piece);
  socket.deliverBytes(piece.subarray(0, left));
}

Deno.test("Connection fails the call alone whose answer is too large, before its bytes have arrived", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket, "broker:10911");
  const pull = connection.request(request, LONG);
  const commit = connection.request({ ...request, name: "UpdateConsumerOffset" }, LONG);
  await turns();
  const [{ opaque }, other] = socket.written as [CommandInit, CommandInit];
  const head = headOf({ code: 0, opaque, flag: 1 });
  socket.deliverBytes(head);
  const error = await assertRejects(() => pull, AnswerTooLargeError);
  assert(error instanceof NetworkError);
  assertEquals(
    [error.code, error.retriable, error.address, error.size, error.limit],
    ["ANSWER_TOO_LARGE", true, "broker:10911", SIZE, MAX_FRAME_SIZE],
  );
  for (const words of ["PullMessage", "40000000 bytes", "16777216", "fewer messages", "maxTransferBytesOnMessage"]) {
    assert(error.message.includes(words), error.message);
  }
  deliverRest(socket, head);
  assert(connection.isOpen);
  socket.deliver({ code: 0, opaque: other.opaque, flag: 1 });
  assertEquals((await commit).code, 0);
  connection.close();
});

Deno.test("Connection skips an answer that is too large and that nobody waits for", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket);
  const head = headOf({ code: 0, opaque: 12_345, flag: 1 });
  socket.deliverBytes(head);
  deliverRest(socket, head);
  const next = connection.request(request, LONG);
  await turns();
  socket.deliver({ code: 0, opaque: socket.written[0]!.opaque, flag: 1 });
  assertEquals((await next).code, 0);
  connection.close();
});

Deno.test("Connection answers a request that is too large with an error, and a oneway one with nothing", async () => {
  const socket = new MemorySocket();
  let served = 0;
  const connection = new Connection(socket, undefined, { onRequest: () => ({ code: served++ }) });
  for (const flag of [0, 2]) {
    const head = headOf({ code: 40, opaque: 5, flag });
    socket.deliverBytes(head);
    deliverRest(socket, head);
  }
  socket.deliver({ code: 40, opaque: 6 });
  await turns();
  assertEquals(socket.written.map(({ code, opaque }) => [code, opaque]), [[1, 5], [0, 6]]);
  assertEquals(socket.written[0]!.remark, "it has 40000000 bytes, allowed are 16777216");
  assertEquals(served, 1);
  connection.close();
});

Deno.test("Connection cuts a peer off that sends a frame that is too large, if `cutsOversized` says so", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket, undefined, { cutsOversized: true });
  socket.deliverBytes(headOf({ code: 40, opaque: 5 }));
  assertEquals((await connection.closed).code, "MALFORMED_FRAME");
});

Deno.test("Connection closes when a frame that is too large has a header that cannot be read", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket);
  const waits = connection.request(request, LONG);
  await turns();
  const head = headOf({ code: 0, opaque: 1, flag: 1 });
  head[8] = 0x20; // what was "{"
  socket.deliverBytes(head);
  assertEquals((await assertRejects(() => waits, NetworkError)).code, "MALFORMED_FRAME");
  assert(!connection.isOpen);
});

Deno.test("Connection takes bytes that it skips for silence: a length that is a lie does not keep it open", async () => {
  using time = new FakeTime();
  let now = 0;
  const real = performance.now;
  performance.now = () => now;
  try {
    const socket = new MemorySocket();
    const connection = new Connection(socket);
    socket.deliverBytes(headOf({ code: 0, opaque: 999, flag: 1 }, 0x7fffffff));
    now = 1;
    const rejected = assertRejects(() => connection.request(request, { timeout: 3_000 }), TimeoutError);
    while (now < 3_000) {
      assert(connection.isOpen);
      socket.deliver({ code: 0, opaque: 1, flag: 1 }); // the answer, which the lie swallows
      now += 100;
      await time.tickAsync(100);
    }
    await rejected;
    assert(!connection.isOpen);
  } finally {
    performance.now = real;
  }
});

Deno.test("Connection keeps a peer that has answered something since, though it skips now", async () => {
  const socket = new MemorySocket();
  const connection = new Connection(socket);
  const head = headOf({ code: 0, opaque: 999, flag: 1 });
  socket.deliverBytes(head);
  const waits = connection.request(request, LONG);
  deliverRest(socket, head);
  await turns();
  socket.deliver({ code: 0, opaque: socket.written[0]!.opaque, flag: 1 });
  assert(await isSettled(waits));
  connection.close();
});
