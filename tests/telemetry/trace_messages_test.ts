import { assert, assertEquals } from "@std/assert";
import { packContexts } from "../../src/telemetry/trace_messages.ts";
import { encodeContext, type TraceContext } from "../../src/telemetry/trace_records.ts";
import { encodeProperties } from "../../src/wire/properties.ts";
import { subAfter, subBefore } from "./trace_contexts.ts";

function textOf(contexts: readonly TraceContext[]): string {
  return contexts.flatMap(encodeContext).map(({ text }) => text).join("");
}

function manyMessages(count: number, keys?: string) {
  return Array.from({ length: count }, (_, at) => ({
    messageId: String(at).padStart(32, "0"),
    keys,
    retryTimes: 0,
  }));
}

Deno.test("packContexts() makes a message for each topic, with every key once", () => {
  const orders = [subBefore(), subAfter()];
  const payments = [subBefore({ topic: "payments" })];
  assertEquals(packContexts([orders[0]!, ...payments, orders[1]!]), [
    { body: textOf(orders), keys: "M1 42 M2" },
    { body: textOf(payments), keys: "M1 42 M2" },
  ]);
  assertEquals(packContexts([]), []);
});

Deno.test("packContexts() divides between records before 128 000 characters", () => {
  const contexts = [subBefore({ messages: manyMessages(700, "日".repeat(100)) }), subAfter()];
  const packed = packContexts(contexts);
  assertEquals(packed.map(({ body }) => body).join(""), textOf(contexts));
  assertEquals(packed.length, 2);
  for (const { body } of packed) assert(body.length <= 128_000 && body.endsWith("\x02"));
  assert(packed[0]!.body.length > 127_500);
});

Deno.test("packContexts() divides where brokers would refuse the keys", () => {
  const packed = packContexts([subBefore({ messages: manyMessages(1_024) })]);
  assertEquals(packed.length, 2);
  for (const { keys } of packed) encodeProperties([["KEYS", keys]]);
  assertEquals(packed.flatMap(({ keys }) => keys.split(" ")).length, 1_024);
});

Deno.test("packContexts() leaves out keys of a message that no message could hold", () => {
  const messages = [{ messageId: "M1", keys: "日".repeat(10_500), retryTimes: 0 }];
  const [packed, ...more] = packContexts([subBefore({ messages })]);
  assertEquals([packed!.keys, more], ["M1", []]);
  assert(packed!.body.includes("日日日"));
});
