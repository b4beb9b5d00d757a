import { assertEquals, assertThrows } from "@std/assert";
import { NetworkError, ValidationError } from "../../src/errors.ts";
import { BatchBody, type BatchMessage, decodeBatch, encodeBatch } from "../../src/wire/batch.ts";
import { SeededRandom } from "./seeded_random.ts";

const encoder = new TextEncoder();

Deno.test("encodeBatch() writes entry after entry", () => {
  const bytes = encodeBatch([
    { flag: 7, body: encoder.encode("hi"), properties: "a\u0001b\u0002" },
    { flag: -1, body: new Uint8Array(0), properties: "" },
  ]);
  assertEquals([...bytes], [
    ...[0, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0x68, 0x69, 0, 4, 0x61, 1, 0x62, 2],
    ...[0, 0, 0, 22, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0],
  ]);
  assertEquals(encodeBatch([]).length, 0);
});

Deno.test("encodeBatch() refuses properties that do not fit", () => {
  const message = { flag: 0, body: new Uint8Array(1), properties: "é".repeat(16_384) };
  assertThrows(() => encodeBatch([message]), ValidationError, "32768");
});

Deno.test("decodeBatch() reads what encodeBatch() writes, from the middle of a buffer", () => {
  const random = new SeededRandom(6);
  for (let i = 0; i < 500; i++) {
    const messages: BatchMessage[] = Array.from({ length: random.below(6) }, () => ({
      flag: random.below(2 ** 32) | 0,
      body: random.bytes(random.below(50)),
      properties: random.text(30),
    }));
    const bytes = encodeBatch(messages);
    const around = new Uint8Array(bytes.length + 7);
    around.set(bytes, 3);
    assertEquals(decodeBatch(around.subarray(3, 3 + bytes.length)), messages);
  }
});

Deno.test("BatchBody writes into bytes that were used before, and touches none beside its own", () => {
  const random = new SeededRandom(7);
  for (let i = 0; i < 200; i++) {
    const messages: BatchMessage[] = Array.from({ length: random.below(6) }, () => {
      const properties = random.text(30);
      return { flag: i, body: random.bytes(random.below(50)), properties };
    });
    const body = new BatchBody(messages);
    const target = new Uint8Array(body.length + 9).fill(0xee);
    body.writeTo(target, 4);
    assertEquals(target.slice(4, -5), encodeBatch(messages));
    assertEquals([...target.slice(0, 4), ...target.slice(-5)], Array(9).fill(0xee));
  }
});

Deno.test("BatchBody takes the size of properties that it is made with, and keeps halves of a character apart", () => {
  const body = new Uint8Array(1);
  const messages = [{ flag: 0, body, properties: "a\ud83d" }, { flag: 0, body, properties: "\ude00b" }];
  const properties = decodeBatch(encodeBatch(messages)).map((message) => message.properties);
  assertEquals(properties, ["a\ufffd", "\ufffdb"]);
  const told = [{ flag: 0, body, properties: "äb", propertiesSize: 3 }];
  assertEquals(encodeBatch(told), encodeBatch([{ flag: 0, body, properties: "äb" }]));
});

Deno.test("decodeBatch() refuses a batch that is cut off at any byte", () => {
  const message = { flag: 0, body: encoder.encode("body"), properties: "a\u0001b\u0002" };
  const bytes = encodeBatch([message, message]);
  const whole = bytes.length / 2;
  for (let size = 1; size < bytes.length; size++) {
    if (size === whole) continue;
    assertThrows(() => decodeBatch(bytes.subarray(0, size)), NetworkError, "of a batch");
  }
});

Deno.test("decodeBatch() refuses lengths that do not fit", () => {
  const message = { flag: 0, body: encoder.encode("body"), properties: "a\u0001b\u0002" };
  for (const at of [0, 16]) {
    for (const value of [-1, -(2 ** 31), 0, 1, 21, 29, 2 ** 31 - 1]) {
      const bytes = encodeBatch([message]);
      new DataView(bytes.buffer).setInt32(at, value);
      const error = assertThrows(() => decodeBatch(bytes), NetworkError);
      assertEquals(error.code, "MALFORMED_FRAME");
    }
  }
  for (const value of [-1, -32_768, 0, 3, 5, 32_767]) {
    const bytes = encodeBatch([message]);
    new DataView(bytes.buffer).setInt16(24, value);
    assertThrows(() => decodeBatch(bytes), NetworkError);
  }
});
