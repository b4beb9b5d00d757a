import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { NetworkError, ValidationError } from "../../src/errors.ts";
import {
  type Command,
  type CommandInit,
  decodeFrame,
  encodeBinaryFrame,
  encodeFrame,
  FrameReader,
  isOneway,
  isResponse,
  MAX_FRAME_SIZE,
  MAX_HEADER_SIZE,
} from "../../src/wire/frame.ts";
import { MAX_PROPERTIES_SIZE } from "../../src/wire/properties.ts";
import { SeededRandom } from "./seeded_random.ts";

const utf8 = new TextEncoder();

/** What was read, with objects that can be compared with literals. */
function plain(command: Command): unknown {
  return { ...command, fields: { ...command.fields } };
}

/** A frame of a header encoding, a header and a body, whatever they hold. */
function frameOf(encoding: number, header: Uint8Array | string, body = new Uint8Array(0)): Uint8Array {
  const bytes = typeof header === "string" ? utf8.encode(header) : header;
  const frame = new Uint8Array(8 + bytes.length + body.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, frame.length - 4);
  view.setUint32(4, bytes.length);
  frame[4] = encoding;
  frame.set(bytes, 8);
  frame.set(body, 8 + bytes.length);
  return frame;
}

function fromHex(...lines: string[]): Uint8Array {
  return Uint8Array.from(lines.join("").replaceAll(" ", "").match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

/** Asserts that bytes are refused as no frame, with these words. */
function assertMalformed(read: () => unknown, words = ""): void {
  const error = assertThrows(read, NetworkError, words);
  assertEquals([error.code, error.retriable, error.address], ["MALFORMED_FRAME", true, ""]);
}

const commands: CommandInit[] = [
  { code: 105, opaque: 1 },
  { code: 0, opaque: 2_147_483_647, flag: 1, version: 0, language: "JAVA", remark: "ok" },
  { code: 32_767, opaque: -2_147_483_648, flag: 3, version: 32_767, language: "NODE_JS", remark: 'é日😀 "\\\n\u0000' },
  { code: 1, opaque: 0, fields: { topic: "%RETRY%g", empty: "", é日: "😀", "": "no name" } },
  { code: 310, opaque: 7, fields: { a: "x".repeat(40_000) }, body: Uint8Array.of(0, 1, 254, 255) },
  { code: 11, opaque: 8, flag: 2, fields: { ["__proto__"]: "p", constructor: "c", toString: "t" } },
  { code: 11, opaque: 9, body: new Uint8Array(70_000).fill(7) },
];

for (const [name, encode] of [["encodeFrame()", encodeFrame], ["encodeBinaryFrame()", encodeBinaryFrame]] as const) {
  Deno.test(`${name} writes what decodeFrame() reads`, () => {
    for (const command of commands) {
      const frame = encode(command);
      assertEquals(new DataView(frame.buffer).getInt32(0), frame.length - 4);
      const { code, opaque, flag = 0, version = 479, language = "OTHER", remark, fields = {} } = command;
      const { body = new Uint8Array(0) } = command;
      assertEquals(plain(decodeFrame(frame)), { code, opaque, flag, version, language, remark, fields, body });
    }
  });
}

Deno.test("encodeFrame() writes the JSON header byte by byte as documented", () => {
  const header = '{"code":105,"language":"OTHER","version":479,"opaque":5,"flag":0,"extFields":{"topic":"orders"}}';
  const body = Uint8Array.of(1, 2, 3);
  assertEquals(encodeFrame({ code: 105, opaque: 5, fields: { topic: "orders" }, body }), frameOf(0, header, body));
  assertEquals(utf8.encode(header).length, 96);
  assertEquals(
    encodeFrame({ code: 105, opaque: 5, fields: { topic: "orders" }, body }).slice(0, 8),
    fromHex("00000067 00000060"),
  );
});

Deno.test("encodeFrame() always writes extFields: handlers of brokers fail without", () => {
  const frame = encodeFrame({ code: 106, opaque: 1 });
  assertEquals(JSON.parse(new TextDecoder().decode(frame.subarray(8))).extFields, {});
});

const goldenBinary = fromHex(
  "00000031", // 49 bytes follow
  "01 00002a", // binary header of 42 bytes
  "000b 07 01df", // code 11, OTHER, version 479
  "00000102 00000001", // opaque 258, a response
  "00000002 6f6b", // remark "ok"
  "00000013", // 19 bytes of fields
  "0005 746f706963 00000001 62", // topic: "b"
  "0001 6e 00000000", // n: ""
  "010203", // body
);

Deno.test("encodeBinaryFrame() writes the binary header byte by byte as documented", () => {
  const command = { code: 11, opaque: 258, flag: 1, remark: "ok", fields: { topic: "b", n: "" } };
  assertEquals(encodeBinaryFrame({ ...command, body: Uint8Array.of(1, 2, 3) }), goldenBinary);
});

Deno.test("decodeFrame() reads what a Java broker sends", () => {
  const json = '{"code":0,"extFields":{"offset":"12"},"flag":1,"language":"JAVA","opaque":3,' +
    '"serializeTypeCurrentRPC":"JSON","version":479,"somethingNew":{"a":[1]}}';
  assertEquals(plain(decodeFrame(frameOf(0, json, Uint8Array.of(9)))), {
    code: 0,
    opaque: 3,
    flag: 1,
    version: 479,
    language: "JAVA",
    remark: undefined,
    fields: { offset: "12" },
    body: Uint8Array.of(9),
  });
  assertEquals(plain(decodeFrame(goldenBinary)), {
    code: 11,
    opaque: 258,
    flag: 1,
    version: 479,
    language: "OTHER",
    remark: "ok",
    fields: { topic: "b", n: "" },
    body: Uint8Array.of(1, 2, 3),
  });
});

Deno.test("decodeFrame() reads an answer without extFields, remark, language, version and flag", () => {
  for (const rest of ["", ',"extFields":null,"remark":null,"version":"5.3"']) {
    const { fields, remark, version, language, flag, body } = decodeFrame(frameOf(0, `{"code":0,"opaque":3${rest}}`));
    assertEquals([{ ...fields }, remark, version, language, flag, body.length], [{}, undefined, 0, "OTHER", 0, 0]);
  }
});

Deno.test("decodeFrame() takes numbers in extFields, which some clients send", () => {
  const { fields } = decodeFrame(frameOf(0, '{"code":0,"opaque":3,"extFields":{"queueId":7,"ok":true}}'));
  assertEquals(`${fields["queueId"]} ${fields["ok"]}`, "7 true");
});

Deno.test("decodeFrame() knows languages by number, also those after its time", () => {
  const languageOf = (code: number) => {
    const frame = encodeBinaryFrame({ code: 0, opaque: 0 });
    frame[10] = code;
    return decodeFrame(frame).language;
  };
  assertEquals([0, 1, 7, 12, 13, 14, 255].map(languageOf), [
    "JAVA",
    "CPP",
    "OTHER",
    "RUST",
    "NODE_JS",
    "OTHER",
    "OTHER",
  ]);
});

Deno.test("decodeFrame() returns the body as a view on the frame, and needs no buffer of its own for the frame", () => {
  for (const encode of [encodeFrame, encodeBinaryFrame]) {
    const frame = encode({ code: 0, opaque: 1, fields: { a: "b" }, body: Uint8Array.of(5, 6) });
    const larger = new Uint8Array(frame.length + 20).fill(255);
    larger.set(frame, 10);
    const { fields, body } = decodeFrame(larger.subarray(10, 10 + frame.length));
    assertEquals([{ ...fields }, body], [{ a: "b" }, Uint8Array.of(5, 6)]);
    assertStrictEquals(body.buffer, larger.buffer);
  }
});

Deno.test("isResponse() and isOneway() read one bit each", () => {
  const flags = [0, 1, 2, 3, 4, 0x7ffffffe].map((flag) => decodeFrame(encodeFrame({ code: 0, opaque: 0, flag })));
  assertEquals(flags.map(isResponse), [false, true, false, true, false, false]);
  assertEquals(flags.map(isOneway), [false, false, true, true, false, true]);
});

Deno.test("decodeFrame() refuses lengths that make no sense", () => {
  for (let size = 0; size < 8; size++) assertMalformed(() => decodeFrame(new Uint8Array(size)), `${size} bytes`);
  assertMalformed(() => decodeFrame(fromHex("00000004 00000001")), "header ends at byte 9 of 8");
  assertMalformed(() => decodeFrame(fromHex("00000006 00ffffff 7b7d")), "header ends at byte 16777223 of 10");
  assertMalformed(() => decodeFrame(fromHex("00000006 01000003 7b7d")), "header ends");
  for (const encoding of [2, 9, 127, 128, 255]) {
    assertMalformed(() => decodeFrame(frameOf(encoding, "{}")), `header encoding is ${encoding}`);
  }
});

Deno.test("decodeFrame() refuses a JSON header that is not one", () => {
  const noJson = ["", " ", "{", "{]", "{'code':1}", '{"code":01,"opaque":1}', '{"code":0,"opaque":1}x', "\uFFFF"];
  for (const header of noJson) assertMalformed(() => decodeFrame(frameOf(0, header)), "its header is no JSON");
  for (const header of ["null", "5", "true", '"{}"']) {
    assertMalformed(() => decodeFrame(frameOf(0, header)), "its header is no JSON object");
  }
  const lacking = ["[]", "{}", '[{"code":0,"opaque":1}]', '{"code":0}', '{"opaque":0}', '{"code":"0","opaque":1}'];
  const nulls = ['{"code":null,"opaque":1}', '{"code":0,"opaque":null}', '{"code":0,"opaque":1,"flag":"1"}'];
  for (const header of [...lacking, ...nulls]) {
    assertMalformed(() => decodeFrame(frameOf(0, header)), "lacks code, opaque or flag");
  }
  assertMalformed(() => decodeFrame(frameOf(0, Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d))));
});

Deno.test("decodeFrame() survives a JSON header that is nested beyond reason", () => {
  const deep = "[".repeat(100_000);
  assertMalformed(() => decodeFrame(frameOf(0, deep)));
  const whole = `{"code":0,"opaque":1,"more":${deep}${"]".repeat(100_000)}}`;
  try {
    assertEquals(decodeFrame(frameOf(0, whole)).code, 0);
  } catch (error) {
    assert(error instanceof NetworkError && error.code === "MALFORMED_FRAME", `${error}`);
  }
});

Deno.test("decodeFrame() lets no field of a header touch a prototype", () => {
  const evil = '{"code":0,"opaque":1,"__proto__":{"flag":1,"polluted":"x"},' +
    '"extFields":{"__proto__":{"polluted":"y"},"constructor":"c"}}';
  const json = decodeFrame(frameOf(0, evil));
  const binary = decodeFrame(encodeBinaryFrame({ code: 0, opaque: 1, fields: { ["__proto__"]: "p" } }));
  assertEquals([json.flag, ({} as Record<string, unknown>)["polluted"]], [0, undefined]);
  assertEquals(Object.getOwnPropertyNames(json.fields), ["__proto__", "constructor"]);
  assertEquals([Object.keys(binary.fields), binary.fields["toString"]], [["__proto__"], undefined]);
});

Deno.test("decodeFrame() refuses binary headers whose inner lengths make no sense", () => {
  const good = encodeBinaryFrame({ code: 0, opaque: 1, remark: "ok", fields: { ab: "cd", ef: "gh" } });
  const at = { remark: 8 + 13, fields: 8 + 19, key: 8 + 23, value: 8 + 27 };
  const set = (position: number, bytes: string) => {
    const frame = good.slice();
    frame.set(fromHex(bytes), position);
    return () => decodeFrame(frame);
  };
  for (const length of ["ffffffff", "80000000", "7fffffff", "00000100", "0000001e"]) {
    assertMalformed(set(at.remark, length));
    assertMalformed(set(at.fields, length));
    assertMalformed(set(at.value, length));
  }
  for (const length of ["ffff", "8000", "7fff", "0100"]) assertMalformed(set(at.key, length));
});

Deno.test("decodeFrame() refuses a binary header that ends at any byte before its end", () => {
  const frame = encodeBinaryFrame({ code: 0, opaque: 1, remark: "ok", fields: { ab: "cd" } });
  for (let size = 0; size < frame.length - 8; size++) {
    assertMalformed(() => decodeFrame(frameOf(1, frame.subarray(8, 8 + size))));
  }
  assertEquals(decodeFrame(frameOf(1, frame.subarray(8))).remark, "ok");
});

/** What a reader hands out for these pieces; each piece is overwritten as soon as it was pushed. */
function framesOf(pieces: readonly Uint8Array[]): Uint8Array[] {
  const frames: Uint8Array[] = [];
  const reader = new FrameReader((frame) => frames.push(frame));
  for (const piece of pieces) {
    const buffer = piece.slice();
    reader.push(buffer);
    buffer.fill(0xee);
  }
  return frames;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const small = [
  encodeFrame({ code: 105, opaque: 1, fields: { topic: "a" } }),
  encodeBinaryFrame({ code: 0, opaque: 2, remark: "é", body: Uint8Array.of(1, 2, 3) }),
  fromHex("00000004 00000000"), // the smallest: neither header nor body
  encodeFrame({ code: 11, opaque: 3, body: new Uint8Array(300).fill(9) }),
];

Deno.test("FrameReader cuts a stream that is split at any byte", () => {
  const stream = joined(small);
  for (let cut = 0; cut <= stream.length; cut++) {
    assertEquals(framesOf([stream.subarray(0, cut), stream.subarray(cut)]), small, `cut at ${cut}`);
  }
  assertEquals(framesOf([...stream].map((byte) => Uint8Array.of(byte))), small);
});

Deno.test("FrameReader cuts a stream that is split at random, empty pieces included", () => {
  const random = new SeededRandom(5);
  for (let round = 0; round < 300; round++) {
    const frames = Array.from({ length: 1 + random.below(6) }, () => random.pick(small));
    const stream = joined(frames);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < stream.length;) {
      const size = random.below(random.pick([2, 5, 400]));
      pieces.push(stream.subarray(at, at + size));
      at += size;
    }
    assertEquals(framesOf(pieces), frames);
  }
});

Deno.test("FrameReader hands out many frames of one piece in order, of copies that are not too large", () => {
  const many = Array.from({ length: 1_000 }, (_, opaque) => encodeFrame({ code: 0, opaque }));
  const frames = framesOf([joined(many)]);
  assertEquals(frames.map((frame) => decodeFrame(frame).opaque), many.map((_, opaque) => opaque));
  const copies = new Set(frames.map((frame) => frame.buffer));
  assertEquals([...copies].reduce((sum, { byteLength }) => sum + byteLength, 0), joined(many).length);
  for (const { byteLength } of copies) assert(byteLength <= 64 * 1024);
  const large = [1_000, 70_000, 1_000].map((size) => encodeFrame({ code: 0, opaque: 1, body: new Uint8Array(size) }));
  const separate = framesOf([joined(large)]);
  assertEquals(separate, large);
  assertEquals(separate.map((frame) => frame.buffer.byteLength), large.map(({ length }) => length));
});

Deno.test("FrameReader passes frames without a body in place, with `inPlace`, and copies all others", () => {
  const commands: CommandInit[] = Array.from({ length: 40 }, (_, i) => ({
    code: i,
    opaque: i,
    ...(i % 3 === 0 ? { body: utf8.encode(`body ${i}`) } : {}),
  }));
  const stream = commands.flatMap((command) => [...encodeFrame(command)]);
  for (let piece = 1; piece <= 300; piece++) {
    const bytes = new Uint8Array(piece);
    const read: Command[] = [];
    let inPlace = 0;
    const reader = new FrameReader((frame) => {
      const command = decodeFrame(frame);
      if (frame.buffer === bytes.buffer) inPlace++;
      if (frame.buffer === bytes.buffer) assertEquals(command.body.length, 0);
      read.push(command);
    }, { inPlace: true });
    for (let at = 0; at < stream.length; at += piece) {
      const next = stream.slice(at, at + piece);
      bytes.set(next);
      reader.push(bytes.subarray(0, next.length));
      bytes.fill(0xff);
    }
    assertEquals(read.map(({ code }) => code), commands.map(({ code }) => code));
    assertEquals(read[3]!.body, utf8.encode("body 3"));
    if (piece === 300) assert(inPlace > 10);
  }
});

Deno.test("encodeFrame() takes a body that writes itself", () => {
  const body = { length: 2, writeTo: (target: Uint8Array, at: number) => target.set([7, 8], at) };
  const command = { code: 3, opaque: 9, fields: { topic: "ä" } };
  for (const encode of [encodeFrame, encodeBinaryFrame]) {
    assertEquals(encode({ ...command, body }), encode({ ...command, body: Uint8Array.of(7, 8) }));
  }
});

Deno.test("FrameReader refuses lengths that no frame can have, and says which are allowed", () => {
  for (
    const prefix of ["00000000", "00000001", "00000003", "00fffffd", "01000000", "7fffffff", "80000000", "ffffffff"]
  ) {
    const reader = new FrameReader(() => {});
    assertMalformed(() => reader.push(fromHex(prefix)), `its length word is ${parseInt(prefix, 16)}, allowed is 4 to`);
  }
  const text = assertThrows(
    () => new FrameReader(() => {}).push(utf8.encode("HTTP/1.1 400 Bad Request\r\n")),
    NetworkError,
  );
  assertEquals(text.code, "MALFORMED_FRAME");
});

Deno.test("FrameReader takes the largest frame that Java takes", () => {
  const largest = new Uint8Array(MAX_FRAME_SIZE);
  largest.set(fromHex("00fffffc"));
  assertEquals(framesOf([largest.subarray(0, 5), largest.subarray(5)]).map((frame) => frame.length), [16_777_216]);
});

Deno.test("FrameReader goes on refusing after a malformed length, whatever is pushed", () => {
  const frames: Uint8Array[] = [];
  const reader = new FrameReader((frame) => frames.push(frame));
  assertMalformed(() => reader.push(joined([small[0]!, fromHex("00000001"), small[1]!])));
  assertMalformed(() => reader.push(small[1]!));
  assertEquals(frames, [small[0]!]);
});

Deno.test("FrameReader passes on what its listener throws, and can be pushed to afterwards", () => {
  let fail = true;
  const frames: Uint8Array[] = [];
  const reader = new FrameReader((frame) => {
    if (fail) throw new RangeError("not this one");
    frames.push(frame);
  });
  assertThrows(() => reader.push(small[0]!), RangeError, "not this one");
  fail = false;
  reader.push(small[1]!);
  assertEquals(frames, [small[1]!]);
});

Deno.test("decodeFrame() refuses, or reads as text, a language that is no text", () => {
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  for (const language of ['{"toString":1}', '{"toString":null,"valueOf":null}', deep]) {
    try {
      assertEquals(typeof decodeFrame(frameOf(0, `{"code":0,"opaque":1,"language":${language}}`)).language, "string");
    } catch (error) {
      assert(error instanceof NetworkError && error.code === "MALFORMED_FRAME", `${error}`);
    }
  }
});

Deno.test("encodeBinaryFrame() keeps a byte order mark at the beginning of a field", () => {
  const command = { code: 0, opaque: 1, remark: "\uFEFFr", fields: { "\uFEFFk": "\uFEFFv" } };
  const { remark, fields } = decodeFrame(encodeBinaryFrame(command));
  assertEquals([remark, { ...fields }], [command.remark, command.fields]);
});

Deno.test("encodeBinaryFrame() refuses what does not fit instead of writing another code or another length", () => {
  assertThrows(() => encodeBinaryFrame({ code: 200_050, opaque: 1 }), ValidationError);
  assertThrows(() => encodeBinaryFrame({ code: 0, opaque: 1, fields: { ["k".repeat(40_000)]: "v" } }), ValidationError);
});

Deno.test("encodeFrame() and encodeBinaryFrame() refuse a frame that no peer takes", () => {
  for (const encode of [encodeFrame, encodeBinaryFrame]) {
    const empty = encode({ code: 310, opaque: 1 }).length;
    assertEquals(encode({ code: 310, opaque: 1, body: new Uint8Array(MAX_FRAME_SIZE - empty) }).length, MAX_FRAME_SIZE);
    assertThrows(
      () => encode({ code: 310, opaque: 1, body: new Uint8Array(MAX_FRAME_SIZE - empty + 1) }),
      ValidationError,
    );
    assertThrows(() => encode({ code: 310, opaque: 1, body: new Uint8Array(MAX_FRAME_SIZE) }), ValidationError);
    assertThrows(() => encode({ code: 310, opaque: 1, fields: { i: "x".repeat(MAX_FRAME_SIZE) } }), ValidationError);
  }
});

Deno.test("decodeFrame() refuses a header of more than MAX_HEADER_SIZE bytes, and takes the largest that properties make", () => {
  for (const encode of [encodeFrame, encodeBinaryFrame]) {
    const framed = (size: number) => encode({ code: 0, opaque: 7, flag: 1, fields: { i: "x".repeat(size) } });
    const error = assertThrows(
      () => decodeFrame(framed(MAX_HEADER_SIZE)),
      NetworkError,
      `allowed are ${MAX_HEADER_SIZE}`,
    );
    assertEquals(error.code, "MALFORMED_FRAME");
    assertEquals(decodeFrame(framed(MAX_HEADER_SIZE - 200)).opaque, 7);
  }
  const properties = "\u0001".repeat(MAX_PROPERTIES_SIZE);
  assertEquals(decodeFrame(encodeFrame({ code: 0, opaque: 7, fields: { i: properties } })).fields["i"], properties);
});
