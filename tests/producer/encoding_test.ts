import { assert, assertEquals, assertMatch, assertNotEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ValidationError } from "../../src/errors.ts";
import { type EncoderOptions, MessageEncoder } from "../../src/producer/encoding.ts";
import { decompress } from "../../src/wire/compression.ts";
import { UniqueKeys } from "../../src/wire/message_id.ts";
import { parseProperties } from "../../src/wire/properties.ts";
import { utf8Length } from "../../src/wire/utf8.ts";

function encoderWith(options: Partial<EncoderOptions> = {}): MessageEncoder {
  const keys = new UniqueKeys({ address: "10.0.0.1" });
  return new MessageEncoder(keys, { maxMessageSize: 4_194_304, compressAbove: 4_096, ...options });
}

Deno.test("encode() writes tags, keys, options and the user's properties as one text", () => {
  const { properties, messageId, topic, flag, sysFlag } = encoderWith().encode({
    topic: "orders",
    body: "hello",
    tags: "paid",
    keys: ["42", "43"],
    properties: { price: "10" },
    flag: 9,
  }, { orderingKey: "customer-7", delayLevel: 3 });

  assertMatch(messageId, /^0A000001[0-9A-F]{24}$/);
  assertEquals([topic, flag, sysFlag], ["orders", 9, 0]);
  assertEquals(Object.fromEntries(parseProperties(properties)), {
    price: "10",
    __SHARDINGKEY: "customer-7",
    DELAY: "3",
    KEYS: "42 43",
    UNIQ_KEY: messageId,
    WAIT: "true",
    TAGS: "paid",
  });
});

Deno.test("encode() adds a unique key to each message, and nothing else by itself", () => {
  const encoder = encoderWith();
  const message = { topic: "orders", body: "hello", keys: "42" };
  const [first, second] = [encoder.encode(message, {}), encoder.encode(message, {})];
  assertNotEquals(first.messageId, second.messageId);
  assertEquals([...parseProperties(first.properties).keys()], ["KEYS", "UNIQ_KEY", "WAIT"]);
});

Deno.test("encode() compresses bodies from compressAbove on", () => {
  const encoder = encoderWith();
  const below = encoder.encode({ topic: "orders", body: "x".repeat(4_095) }, {});
  const at = encoder.encode({ topic: "orders", body: "x".repeat(4_096) }, {});

  assertEquals([below.sysFlag, below.body.length], [0, 4_095]);
  assertEquals(at.sysFlag, 0x301);
  assert(at.body.length < 100);
  assertEquals(decompress(at.body, at.sysFlag, 10_000), new TextEncoder().encode("x".repeat(4_096)));
  assertEquals(encoderWith({ compressAbove: false }).encode({ topic: "a", body: "x".repeat(9_000) }, {}).sysFlag, 0);
});

Deno.test("encode() does not compress a body that would not get smaller", () => {
  const body = crypto.getRandomValues(new Uint8Array(5_000));
  const encoded = encoderWith().encode({ topic: "orders", body }, {});
  assertEquals(encoded.sysFlag, 0);
  assertStrictEquals(encoded.body, body);
});

Deno.test("encode() applies the size limit to the body before compression", () => {
  const encoder = encoderWith({ maxMessageSize: 5_000 });
  assertEquals(encoder.encode({ topic: "orders", body: "x".repeat(5_000) }, {}).sysFlag, 0x301);
  const error = assertThrows(() => encoder.encode({ topic: "orders", body: "x".repeat(5_001) }, {}), ValidationError);
  assertMatch(error.message, /^Cannot send a message: the size of body is 5001, allowed is up to maxMessageSize, 5000/);
});

Deno.test("encode() accepts up to 32 767 bytes of properties together", () => {
  const encoder = encoderWith();
  const sized = (length: number) => ({ topic: "orders", body: "x", properties: { a: "ä".repeat(length) } });
  const own = utf8Length(encoder.encode(sized(1), {}).properties) - 2;
  const most = Math.floor((32_767 - own) / 2);
  encoder.encode(sized(most), {});
  const error = assertThrows(() => encoder.encode(sized(most + 1), {}), ValidationError);
  assertEquals(error.problems.map(({ field }) => field), ["the size of all properties"]);
  assertMatch(error.message, /^Cannot send a message: the size of all properties is 3276[89], /);
});
