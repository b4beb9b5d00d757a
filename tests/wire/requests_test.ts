import { assert, assertEquals, assertMatch } from "@std/assert";
import { decodeHeader, encodeHeader, type Fields, type HeaderOf } from "../../src/wire/fields.ts";
import { decodeFrame, encodeBinaryFrame, encodeFrame } from "../../src/wire/frame.ts";
import * as table from "../../src/wire/requests.ts";
import type { RequestSpec } from "../../src/wire/requests.ts";

const { requests } = table;

/** A binary header has 16 bits for a code. */
const LARGEST_BINARY_CODE = 32_767;

function isRow(value: unknown): value is RequestSpec {
  return typeof value === "object" && value !== null && "code" in value && "name" in value;
}

/** The kind, whether it may be missing, and the name on the wire of every field. */
function columnsOf(fields: Fields): { name: string; kind: string; optional: boolean; wire: string }[] {
  return Object.entries(fields).map(([name, field]) => {
    const [kind = "", wire = name] = field.split("=");
    return { name, kind: kind.replace("?", ""), optional: kind.endsWith("?"), wire };
  });
}

/** A header with a value in every field, or in the required ones only. */
function example(fields: Fields, optionalToo: boolean): Record<string, string | number | boolean> {
  const values = { text: "é 日", int: 7, long: 1_700_000_000_000, bool: true };
  return Object.fromEntries(
    columnsOf(fields).filter(({ optional }) => optionalToo || !optional)
      .map(({ name, kind }) => [name, values[kind as keyof typeof values]]),
  );
}

Deno.test("requests lists every row of the table once", () => {
  const rows = Object.values<unknown>(table).filter(isRow);
  assertEquals(new Set(requests).size, requests.length);
  assertEquals(new Set(requests), new Set(rows));
});

Deno.test("requests have codes and names of their own", () => {
  assertEquals(new Set(requests.map(({ code }) => code)).size, requests.length);
  assertEquals(new Set(requests.map(({ name }) => name)).size, requests.length);
});

Deno.test("requests have the codes of RocketMQ's RequestCode", () => {
  const known = new Map(Object.entries({
    SendMessage: 310,
    SendBatch: 320,
    SendMessageV1: 10,
    SendBack: 36,
    PullMessage: 11,
    QueryConsumerOffset: 14,
    UpdateConsumerOffset: 15,
    SearchOffsetByTimestamp: 29,
    GetMaxOffset: 30,
    GetMinOffset: 31,
    Heartbeat: 34,
    UnregisterClient: 35,
    GetConsumerList: 38,
    NotifyConsumerIdsChanged: 40,
    ResetConsumerOffset: 220,
    GetConsumerStatus: 221,
    GetRoute: 105,
    GetClusterInfo: 106,
    CreateTopic: 17,
    LockQueues: 41,
    UnlockQueues: 42,
    CheckClientConfig: 46,
    GetConsumerConnections: 203,
    GetTopicList: 206,
    GetKvConfig: 101,
    PopMessage: 200_050,
    AckMessage: 200_051,
    BatchAckMessage: 200_151,
    ChangeInvisibleTime: 200_053,
    QueryAssignment: 400,
    SetMessageRequestMode: 401,
    ResetGroupOffset: 222,
    QueryConsumerStatus: 223,
    GetConsumerRunningInfo: 307,
    ConsumeMessageDirectly: 309,
  }));
  for (const { name, code } of requests) assertEquals(code, known.get(name) ?? code, name);
  const names = new Set(requests.map(({ name }) => name));
  assertEquals([...known.keys()].filter((name) => !names.has(name)), []);
});

Deno.test("requests are named like types and described in sentences", () => {
  for (const { name, code, about, bodies } of requests) {
    assert(Number.isInteger(code) && code > 0, name);
    assertMatch(name, /^[A-Z][A-Za-z0-9]+$/);
    assertMatch(about, /^[A-Z].*\.$/, name);
    if (bodies !== undefined) assertEquals(bodies.map((body) => body.length > 0), [true, true], name);
  }
});

Deno.test("requests of POP do not fit in a binary header, all others do", () => {
  const wide = requests.filter(({ code }) => code > LARGEST_BINARY_CODE).map(({ name }) => name);
  assertEquals(wide, ["PopMessage", "AckMessage", "BatchAckMessage", "ChangeInvisibleTime"]);
});

Deno.test("requests have fields of known kinds, with names that are unique on the wire", () => {
  for (const { name, header, answer } of requests) {
    for (const columns of [columnsOf(header), columnsOf(answer)]) {
      for (const { kind, wire } of columns) {
        assert(["text", "int", "long", "bool"].includes(kind), `${name}: ${kind}`);
        assertMatch(wire, /^[a-z][A-Za-z]*$/, name);
      }
      assertEquals(new Set(columns.map(({ wire }) => wire)).size, columns.length, name);
    }
  }
});

for (const [name, encode] of [["JSON", encodeFrame], ["binary", encodeBinaryFrame]] as const) {
  Deno.test(`requests and their answers survive a frame with a ${name} header, with and without optional fields`, () => {
    const largest = encode === encodeBinaryFrame ? LARGEST_BINARY_CODE : Infinity;
    for (const row of requests.filter(({ code }) => code <= largest)) {
      for (const fields of [row.header, row.answer] as Fields[]) {
        for (const optionalToo of [true, false]) {
          const header: HeaderOf<Fields> = JSON.parse(JSON.stringify(example(fields, optionalToo)));
          const frame = encode({
            code: row.code,
            opaque: 1,
            fields: encodeHeader(fields, header),
          });
          const command = decodeFrame(frame);
          assertEquals(command.code, row.code);
          assertEquals(decodeHeader(fields, command.fields, row.name), header, row.name);
        }
      }
    }
  });
}

Deno.test("sendHeader has the short names of SEND_MESSAGE_V2 in the order of Java's class", () => {
  assertEquals(columnsOf(table.sendHeader).map(({ wire, name }) => `${wire} ${name}`), [
    "a producerGroup",
    "b topic",
    "c defaultTopic",
    "d defaultTopicQueueNums",
    "e queueId",
    "f sysFlag",
    "g bornTimestamp",
    "h flag",
    "i properties",
    "j reconsumeTimes",
    "k unitMode",
    "l maxReconsumeTimes",
    "m batch",
    "n brokerName",
  ]);
});
