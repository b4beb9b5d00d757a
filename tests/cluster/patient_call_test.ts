import { assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { PatientCall } from "../../src/cluster/call.ts";
import { Endpoint } from "../../src/cluster/endpoint.ts";
import { NetworkError, TimeoutError } from "../../src/errors.ts";
import { denoTransport } from "../../src/transport/deno.ts";
import { JsonFields } from "../../src/wire/json_fields.ts";
import { getMaxOffset } from "../../src/wire/requests.ts";
import { type Script, ScriptedServer } from "../transport/scripted_server.ts";
import { eventually, turns } from "../transport/waiting.ts";
import { FakeTransport } from "./fake_transport.ts";

const fields = JsonFields.of(getMaxOffset.header, { topic: "orders", queueId: 3 });
const silent: Script = () => {};

/** A call of an endpoint, and what is reported to its caller. */
class TestCall {
  readonly reported: unknown[] = [];
  readonly call: PatientCall<typeof getMaxOffset>;

  constructor(endpoint: Endpoint, timeout: number, end: number, signal?: AbortSignal) {
    const now = performance.now();
    const overdue = () => this.reported.push("overdue");
    const options = { timeout, deadline: now + timeout, end: now + end, overdue, signal };
    this.call = new PatientCall(
      getMaxOffset,
      fields,
      options,
      ({ header }) => this.reported.push(header.offset),
      (reason) => this.reported.push(reason),
    );
    endpoint.begin(this.call);
  }

  until(count: number): Promise<void> {
    return eventually(() => this.reported.length >= count, `${count} calls of the caller`);
  }
}

function endpointOf(address: string, transport = denoTransport): Endpoint & AsyncDisposable {
  const endpoint = new Endpoint(address, { transport, connectTimeout: 20_000, mapAddress: (address) => address });
  return Object.assign(endpoint, {
    async [Symbol.asyncDispose](): Promise<void> {
      endpoint.close();
      await turns();
    },
  });
}

Deno.test("PatientCall reports once that it is overdue, and takes an answer until its end", async () => {
  await using server = new ScriptedServer(silent);
  await using endpoint = endpointOf(server.address);
  for (const signal of [undefined, new AbortController().signal]) {
    const test = new TestCall(endpoint, 50, 20_000, signal);
    await test.until(1);
    const peer = await server.peer();
    peer.answer(peer.requests.at(-1)!, { fields: { offset: "12" } });
    await test.until(2);
    assertEquals([test.reported, test.call.hasLeft], [["overdue", 12], true]);
  }
});

Deno.test("PatientCall fails at its end, and names the whole time", async () => {
  await using server = new ScriptedServer(silent);
  await using endpoint = endpointOf(server.address);
  const test = new TestCall(endpoint, 50, 150);
  await test.until(2);
  assertEquals(test.reported[0], "overdue");
  assertInstanceOf(test.reported[1], TimeoutError);
  assertEquals(Math.round(test.reported[1].timeout), 150);
});

Deno.test("PatientCall that has not left by its deadline fails, and never leaves", async () => {
  const connecting = Promise.withResolvers<void>();
  await using server = new ScriptedServer(silent);
  const transport = new FakeTransport(async (host, port, options) => {
    await connecting.promise;
    return await denoTransport.connect(host, port, options);
  });
  await using endpoint = endpointOf(server.address, transport);
  const test = new TestCall(endpoint, 50, 20_000);
  await test.until(1);
  assertInstanceOf(test.reported[0], TimeoutError);
  assertEquals(test.call.hasLeft, false);
  connecting.resolve();
  await server.untilOpen(1);
  await turns();
  assertEquals([test.reported.length, server.requests.length], [1, 0]);
});

Deno.test("PatientCall on a connection that has been silent for 3 s at its deadline has it closed", async () => {
  await using server = new ScriptedServer(silent);
  await using endpoint = endpointOf(server.address);
  const first = new TestCall(endpoint, 20_000, 20_000);
  const peer = await server.peer();
  await server.untilRequests(1);
  peer.answer(peer.requests[0]!, { fields: { offset: "12" } });
  await first.until(1);
  const short = new TestCall(endpoint, 1_500, 60_000);
  const long = new TestCall(endpoint, 3_000, 60_000);
  await short.until(2);
  assertEquals(short.reported[0], "overdue");
  for (const reason of [short.reported[1], long.reported[0]]) {
    assertInstanceOf(reason, NetworkError);
    assertStringIncludes(reason.message, "nothing was received");
  }
});
