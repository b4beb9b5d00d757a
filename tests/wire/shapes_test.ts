/** Bodies of JSON are checked, whoever has written them. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { NetworkError } from "../../src/errors.ts";
import {
  readAssignment,
  readBatchAcks,
  readClientConfig,
  readConnections,
  readConsumerList,
  readConsumerStatus,
  readHeartbeat,
  readLock,
  readLocked,
  readQueryAssignment,
  readRequestMode,
  readReset,
  readTimeSpans,
  readUnlock,
} from "../../src/wire/body_readers.ts";
import { bodyReader, flag, integer, list, map, object, oneOf, optional, table, text } from "../../src/wire/shapes.ts";

const encoder = new TextEncoder();
const bytes = (json: string) => encoder.encode(json);

function refusal(read: (body: Uint8Array) => unknown, json: string): string {
  const error = assertThrows(() => read(bytes(json)), NetworkError);
  assertEquals(error.code, "MALFORMED_FRAME");
  return error.message;
}

Deno.test("bodyReader() names the request, the place and what was found there", () => {
  const read = bodyReader(
    { name: "AskAll" },
    object({
      consumerList: optional(list(object({ name: text(5), id: integer(0, 9), ready: optional(flag) }))),
      mode: optional(oneOf("PULL", "POP")),
      times: optional(map(integer())),
    }),
  );
  const wrong = {
    "[]": "it is an array, allowed is an object",
    "null": "it is null, allowed is an object",
    '{"consumerList":{}}': "consumerList is an object, allowed is an array",
    '{"consumerList":[{"name":"a","id":1},null]}': "consumerList[1] is null, allowed is an object",
    '{"consumerList":[{"id":1}]}': "consumerList[0].name is missing, allowed is a text of up to 5 characters",
    '{"consumerList":[{"name":"toolong","id":1}]}':
      'consumerList[0].name is "toolong", allowed is a text of up to 5 characters',
    '{"consumerList":[{"name":"a","id":1.5}]}': "consumerList[0].id is 1.5, allowed is an integer from 0 to 9",
    '{"consumerList":[{"name":"a","id":10}]}': "consumerList[0].id is 10, allowed is an integer from 0 to 9",
    '{"consumerList":[{"name":"a","id":99999999999999999999}]}':
      "consumerList[0].id is 99999999999999999999, allowed is an integer from 0 to 9",
    '{"consumerList":[{"name":"a","id":1,"ready":1}]}': "consumerList[0].ready is 1, allowed is true or false",
    '{"mode":"PUSH"}': 'mode is "PUSH", allowed is "PULL" or "POP"',
    '{"times":{"a":true}}': "times.a is true, allowed is an integer",
  };
  for (const [json, problem] of Object.entries(wrong)) {
    const message = refusal(read, json);
    assert(message.startsWith(`Cannot read the body of AskAll: ${problem}`), message);
  }
  assert(refusal(read, `{"mode":"${"x".repeat(5_000)}"}`).length < 350);
});

Deno.test("bodyReader() takes what Java takes: unknown members, null for what is missing, numbers in quotes", () => {
  const read = bodyReader(
    { name: "AskAll" },
    object({ id: integer(), ready: flag, names: optional(list(text(9))), kind: optional(text(9), "usual") }),
  );
  const json = '{"id":"-12","ready":"true","names":null,"kind":null,"other":{"a":[1]},"__proto__":{"kind":"x"}}';
  assertEquals(read(bytes(json)), { id: -12, ready: true, kind: "usual" });
  assert(!Object.hasOwn(read(bytes(json)), "names"));
});

Deno.test("table() reads objects as keys, in quotes too, and leaves out what does not fit", () => {
  const read = bodyReader({ name: "AskAll" }, table(object({ q: integer() }), integer()));
  assertEquals(read(bytes('{{"q":1}:5,{"q":"x"}:6,{"q":3}:null,{"q":4}:7}')), [[{ q: 1 }, 5], [{ q: 4 }, 7]]);
  assertEquals(read(bytes('{"{\\"q\\":1}":5,"q":6,"null":7}')), [[{ q: 1 }, 5]]);
  assertEquals(read(bytes("{}")), []);
  assert(refusal(read, "[[1,2],3]").includes("[1] is 3"));
});

const readers = {
  readAssignment,
  readBatchAcks,
  readClientConfig,
  readConnections,
  readConsumerList,
  readConsumerStatus,
  readHeartbeat,
  readLock,
  readLocked,
  readQueryAssignment,
  readRequestMode,
  readReset,
  readTimeSpans,
  readUnlock,
};

Deno.test("every reader of a body returns a value or throws a NetworkError, whatever JSON it gets", () => {
  const members = ["connectionSet", "subscriptionTable", "consumerIdList", "lockOKMQSet", "mqSet", "offsetTable"]
    .concat([
      "messageQueueTable",
      "consumeTimeSpanSet",
      "consumerDataSet",
      "messageQueueAssignments",
      "acks",
      "clientID",
    ])
    .concat(["subscriptionData", "topic", "mode", "consumerGroup", "clientId"]);
  const values = ["null", "1", '"a"', "[]", "{}", "[null]", "[[]]", '[{"a":null}]', '{"a":null}', '{{"a":1}:2}', "true"]
    .concat(["1e400", "99999999999999999999", '{"toString":1,"valueOf":null}', '[{"toString":1}]', '""', "[1,[2]]"]);
  for (const [name, read] of Object.entries(readers)) {
    for (const value of values) {
      for (const json of [value, ...members.map((member) => `{"${member}":${value}}`)]) {
        try {
          JSON.stringify(read(bytes(json)));
        } catch (error) {
          assert(error instanceof NetworkError, `${name} of ${json}: ${error}`);
          assert(error.message.startsWith("Cannot read "), error.message);
        }
      }
    }
  }
});
