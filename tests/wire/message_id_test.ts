import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { ValidationError } from "../../src/errors.ts";
import { offsetMessageId, parseOffsetMessageId, UniqueKeys } from "../../src/wire/message_id.ts";

/** Fills with the same byte. */
function fill(byte: number): (bytes: Uint8Array) => void {
  return (bytes) => void bytes.fill(byte);
}

Deno.test("offsetMessageId() writes host, port and offset", () => {
  assertEquals(offsetMessageId("127.0.0.1", 10911, 229), "7F00000100002A9F00000000000000E5");
  assertEquals(offsetMessageId("10.0.0.255", 1, 2 ** 53 - 1), "0A0000FF00000001001FFFFFFFFFFFFF");
  assertEquals(offsetMessageId("2001:db8::1", 10911, 0), "20010DB800000000000000000000000100002A9F0000000000000000");
  assertThrows(() => offsetMessageId("localhost", 1, 0), ValidationError, "IPv4 or IPv6");
});

Deno.test("parseOffsetMessageId() reads what offsetMessageId() writes, in either case", () => {
  for (const host of ["127.0.0.1", "2001:db8::1"]) {
    const expected = { host, port: 10911, commitLogOffset: 5_000_000_000_123 };
    const id = offsetMessageId(host, 10911, 5_000_000_000_123);
    assertEquals(parseOffsetMessageId(id), expected);
    assertEquals(parseOffsetMessageId(id.toLowerCase()), expected);
  }
});

Deno.test("parseOffsetMessageId() refuses everything else", () => {
  const good = "7F00000100002A9F00000000000000E5";
  for (const id of ["", good.slice(1), `${good}0`, `G${good.slice(1)}`, "7F00000100002A9F0020000000000000"]) {
    assertThrows(() => parseOffsetMessageId(id), ValidationError, "Cannot read an offset message id");
  }
});

Deno.test("UniqueKeys makes address, random bytes, time of the month, counter", () => {
  using _time = new FakeTime(new Date(2024, 4, 3, 4, 5, 6, 7).getTime());
  const keys = new UniqueKeys({ address: "10.0.0.1", random: fill(0xab) });
  const elapsed = new Date(2024, 4, 3, 4, 5, 6, 7).getTime() - new Date(2024, 4, 1).getTime();
  const time = elapsed.toString(16).toUpperCase().padStart(8, "0");
  assertEquals(keys.next(), `0A000001ABABABABABAB${time}0000`);
  assertEquals(keys.next(), `0A000001ABABABABABAB${time}0001`);
  const six = new UniqueKeys({ address: "2001:db8::1", random: fill(1) });
  assertEquals(six.next(), `20010DB8000000000000000000000001010101010101${time}0000`);
});

Deno.test("UniqueKeys begins again with each month, and its last days do not fit an int32", () => {
  using time = new FakeTime(new Date(2024, 0, 31, 23, 59, 59, 999).getTime());
  const keys = new UniqueKeys({ address: "10.0.0.1", random: fill(0) });
  const span = new Date(2024, 0, 31, 23, 59, 59, 999).getTime() - new Date(2024, 0, 1).getTime();
  assert(span > 2 ** 31);
  assertEquals(keys.next().slice(20, 28), span.toString(16).toUpperCase());
  time.tick(1);
  assertEquals(keys.next().slice(20), "000000000001");
});

Deno.test("UniqueKeys counts to 65 535 and wraps", () => {
  const keys = new UniqueKeys({ address: "10.0.0.1" });
  const counters = Array.from({ length: 65_537 }, () => keys.next().slice(-4));
  assertEquals(new Set(counters).size, 65_536);
  assertEquals([counters[0xabcd], counters[65_535], counters[65_536]], ["ABCD", "FFFF", "0000"]);
});

Deno.test("UniqueKeys takes new random bytes when the clock is put back", () => {
  let calls = 0;
  const keys = new UniqueKeys({ address: "10.0.0.1", random: (bytes) => void bytes.fill(++calls) });
  const now = Date.now; // fake clocks do not run backwards
  try {
    Date.now = () => new Date(2024, 4, 1, 0, 0, 1).getTime();
    assertEquals(keys.next().slice(8), "010101010101000003E80000");
    // A little before the month begins counts as its beginning.
    Date.now = () => new Date(2024, 3, 30, 23, 59, 59).getTime();
    assertEquals(keys.next().slice(8), "020202020202000000000001");
    Date.now = () => new Date(2024, 4, 1, 0, 0, 1).getTime();
    assertEquals(keys.next().slice(8), "020202020202000003E80002");
  } finally {
    Date.now = now;
  }
});

Deno.test("UniqueKeys of two generators differ, with and without an address", () => {
  for (const options of [{}, { address: "10.0.0.1" }]) {
    const [a, b] = [new UniqueKeys(options), new UniqueKeys(options)];
    const keys = Array.from({ length: 1_000 }, () => [a.next(), b.next()]).flat();
    assertEquals(new Set(keys).size, 2_000);
    for (const key of keys) assertMatch(key, /^[0-9A-F]{32}$/);
  }
  assertThrows(() => new UniqueKeys({ address: "example.com" }), ValidationError, "Cannot make unique keys");
});
