import { assertEquals } from "@std/assert";
import { xxHash32 } from "../../src/wire/xxhash32.ts";

Deno.test("xxHash32() returns the published values", () => {
  const cases = {
    "": 0x02cc5d05,
    "a": 0x550d7456,
    "abc": 0x32d153ff,
    "Nobody inspects the spammish repetition": 0xe2293b2f,
  };
  for (const [text, hash] of Object.entries(cases)) {
    const bytes = new TextEncoder().encode(`..${text}.`);
    assertEquals(xxHash32(bytes, 2, bytes.length - 1), hash, text);
  }
});
