import { assertEquals } from "@std/assert";
import { encodeContext, TraceContextCode, TraceMessageType } from "../../src/telemetry/trace_records.ts";
import { pub, subAfter, subBefore } from "./trace_contexts.ts";

Deno.test("encodeContext() writes a send as Java does", () => {
  const id = "7F000001000000000000000000000000";
  assertEquals(encodeContext(pub({ messageType: TraceMessageType.ORDER })), [{
    text: `Pub\x011700000000123\x01DefaultRegion\x01shop\x01orders\x01${id}\x01paid\x0142 43\x01` +
      "10.0.0.5:10911\x01128\x017\x014\x017F00000100002A9F0000000000000000\x01true\x02",
    messageId: id,
    keys: ["42", "43"],
  }]);
});

Deno.test("encodeContext() writes what is missing as null", () => {
  const { text, keys } = encodeContext(pub({ tags: undefined, keys: undefined, offsetMessageId: undefined }))[0]!;
  const fields = text.split("\x01");
  assertEquals([fields[6], fields[7], fields[12], keys], ["null", "null", "null", []]);
});

Deno.test("encodeContext() writes a record for each message that is handed out", () => {
  const start = "SubBefore\x011700000000200\x01DefaultRegion\x01billing\x017F000001AAAA\x01";
  assertEquals(encodeContext(subBefore()), [
    { text: `${start}M1\x012\x0142\x02`, messageId: "M1", keys: ["42"] },
    { text: `${start}M2\x010\x01null\x02`, messageId: "M2", keys: [] },
  ]);
});

Deno.test("encodeContext() writes a record for each message whose outcome is known", () => {
  assertEquals(encodeContext(subAfter({ code: TraceContextCode.FAILED })).map(({ text }) => text), [
    "SubAfter\x017F000001AAAA\x01M1\x0150\x01false\x0142\x014\x011700000000300\x01billing\x02",
    "SubAfter\x017F000001AAAA\x01M2\x0150\x01false\x01null\x014\x011700000000300\x01billing\x02",
  ]);
});

Deno.test("encodeContext() lets no text end a field or a record", () => {
  const messages = [{ messageId: "M\x021", keys: "4\x012", retryTimes: 0 }];
  const [record] = encodeContext(subBefore({ messages }));
  assertEquals(record!.text.split("\x01").slice(-3), ["M 1", "0", "4 2\x02"]);
  assertEquals([record!.messageId, record!.keys], ["M 1", ["4", "2"]]);
});
