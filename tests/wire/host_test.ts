import { assertEquals, assertThrows } from "@std/assert";
import { ValidationError } from "../../src/errors.ts";
import { formatAddress, formatHost, parseAddress, parseHost } from "../../src/wire/host.ts";
import { SeededRandom } from "./seeded_random.ts";

Deno.test("parseHost() reads IPv4 and IPv6", () => {
  assertEquals([...parseHost("10.1.2.3:10911")], [10, 1, 2, 3, 0, 0, 0x2a, 0x9f]);
  assertEquals([...parseHost("[::1]:80")], [...Array(15).fill(0), 1, 0, 0, 0, 80]);
  assertEquals([...parseHost("[2001:db8::a:B]:65535")].slice(0, 4), [0x20, 0x01, 0x0d, 0xb8]);
});

Deno.test("parseHost() refuses names, other addresses and ports out of range", () => {
  const bad = ["", "localhost:1", "1.2.3:1", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.256:1", "01.2.3.4:1"];
  for (const text of [...bad, "::1:80", "[::1]", "[1.2.3.4]:1", "[::1%25eth0]:1", "[1::2::3]:1", "[::1]:80x"]) {
    assertThrows(() => parseHost(text), ValidationError, "Cannot encode a host", text);
  }
});

Deno.test("parseAddress() reads every way to write an IPv6 address", () => {
  const cases = {
    "::": "::",
    "1:2:3:4:5:6:7:8": "1:2:3:4:5:6:7:8",
    "0:0:0:0:0:0:0:1": "::1",
    "1::": "1::",
    "1::8": "1::8",
    "fe80:0000:0000:0000:0204:61ff:fe9d:f156": "fe80::204:61ff:fe9d:f156",
    "::ffff:1.2.3.4": "::ffff:102:304",
  };
  for (const [text, short] of Object.entries(cases)) {
    const bytes = parseAddress(text);
    assertEquals(bytes?.length, 16, text);
    assertEquals(formatAddress(bytes!, 0, 16), short);
  }
  for (const text of [":", ":::", "1:2", "g::", "::1]/[", "a", "12345::"]) assertEquals(parseAddress(text), undefined);
});

Deno.test("formatHost() writes what parseHost() reads", () => {
  const random = new SeededRandom(5);
  for (let i = 0; i < 1_000; i++) {
    const size = random.pick([8, 20]);
    const bytes = random.bytes(size + 2);
    for (let at = 1; at < size; at++) if (random.below(3) === 0) bytes[at] = 0; // gaps to shorten
    bytes.set([0, 0], 1 + size - 4); // a port
    assertEquals(parseHost(formatHost(bytes, 1, 1 + size)), bytes.slice(1, 1 + size));
  }
});
