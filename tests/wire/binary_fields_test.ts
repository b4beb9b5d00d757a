import { assertEquals } from "@std/assert";
import { FieldsTemplate } from "../../src/wire/binary_fields.ts";
import type { Fields } from "../../src/wire/fields.ts";
import { decodeFrame, encodeBinaryFrame } from "../../src/wire/frame.ts";
import { FrameWriter } from "../../src/wire/frame_writer.ts";
import { SeededRandom } from "./seeded_random.ts";

const table = {
  group: "text=a",
  topic: "text=topic",
  queueId: "int=e",
  offset: "long=g",
  properties: "text=i",
  batch: "bool=m",
} as const satisfies Fields;

Deno.test("FieldsTemplate writes what encodeBinaryFrame() writes, the fixed values first", () => {
  const template = new FieldsTemplate(table, { topic: "orders", group: "ä" }, [
    "queueId",
    "offset",
    "properties",
    "batch",
  ]);
  const random = new SeededRandom(8);
  for (let i = 0; i < 300; i++) {
    const rest = { queueId: i - 5, offset: 2 ** 53 - 1 - i, properties: random.text(60), batch: i % 2 === 0 };
    const body = random.bytes(random.below(20));
    const fields = {
      topic: "orders",
      a: "ä",
      e: String(rest.queueId),
      g: String(rest.offset),
      i: rest.properties,
      m: String(rest.batch),
    };
    const writer = new FrameWriter({
      code: 310,
      opaque: i - 9,
      flag: 2,
      version: 400,
      fields: template.with(rest),
      body,
    });
    const target = new Uint8Array(writer.maxLength + 3);
    const end = writer.writeTo(target, 3);
    const expected = encodeBinaryFrame({ code: 310, opaque: i - 9, flag: 2, version: 400, fields, body });
    assertEquals(target.slice(3, end), expected);
    assertEquals(decodeFrame(expected).fields.i, rest.properties);
  }
});
