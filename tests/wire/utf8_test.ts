import { assertEquals } from "@std/assert";
import { decodeUtf8, encodeUtf8, readable, utf8Length } from "../../src/wire/utf8.ts";
import { SeededRandom } from "./seeded_random.ts";

const encoder = new TextEncoder();

Deno.test("decodeUtf8() reads ASCII of every length, from every place", () => {
  const text = "The quick brown fox jumps over the lazy dog, 0123456789";
  const bytes = readable(encoder.encode(text));
  for (let start = 0; start < 8; start++) {
    for (let end = start; end <= bytes.length; end++) {
      assertEquals(decodeUtf8(bytes, start, end), text.slice(start, end));
    }
  }
});

Deno.test("decodeUtf8() reads any text and keeps a byte order mark", () => {
  const random = new SeededRandom(1);
  for (let i = 0; i < 2_000; i++) {
    const text = random.text(i % 100 === 0 ? 600 : 30);
    const bytes = readable(encoder.encode(`<${text}>`));
    assertEquals(decodeUtf8(bytes, 1, bytes.length - 1), text);
  }
  assertEquals(decodeUtf8(readable(encoder.encode("\ufeffa")), 0, 4), "\ufeffa");
});

Deno.test("decodeUtf8() puts U+FFFD where there is no UTF-8", () => {
  assertEquals(decodeUtf8(readable(Uint8Array.of(0x61, 0xff, 0x62)), 0, 3), "a\ufffdb");
  assertEquals(decodeUtf8(readable(Uint8Array.of(0xe2, 0x82, 0x02)), 0, 3), "\ufffd\u0002"); // cut off: what follows survives
});

Deno.test("utf8Length() is the length that TextEncoder writes", () => {
  const random = new SeededRandom(2);
  const alphabet = ["a", "\u007f", "\u0080", "\u07ff", "\u0800", "\uffff", "😀", "\ud800", "\udc00", "\udbff"];
  for (let i = 0; i < 2_000; i++) {
    const text = random.text(12, alphabet);
    assertEquals(utf8Length(text), encoder.encode(text).length, JSON.stringify(text));
  }
});

Deno.test("encodeUtf8() writes what TextEncoder writes, and no text into another's bytes", () => {
  const random = new SeededRandom(3);
  const texts = Array.from({ length: 3_000 }, (_, i) => i % 500 === 499 ? random.text(9_000) : random.text(40));
  const written = texts.map(encodeUtf8);
  for (const [i, text] of texts.entries()) assertEquals(written[i], encoder.encode(text));
});
