import { assert, assertEquals } from "@std/assert";
import { decodeFrame, encodeBinaryFrame, FrameReader } from "../../src/wire/frame.ts";
import { formatHost, parseHost } from "../../src/wire/host.ts";
import { type JsonObject, type JsonValue, pairsOf, parseJson } from "../../src/wire/json.ts";
import { decodeRecords, encodeRecord, type StoredMessage } from "../../src/wire/record.ts";
import frames from "./golden/frames.json" with { type: "json" };

/** A record as Java's decoder read it. */
interface JavaRecord {
  storedTopic: string;
  storedQueueId: number;
  queueOffset: number;
  commitLogOffset: number;
  size: number;
  bodyCRC: number;
  flag: number;
  sysFlag: number;
  bornTimestamp: number;
  bornHost: string;
  storeTimestamp: number;
  storeHost: string;
  reconsumeTimes: number;
  preparedTransactionOffset: number;
  tags: string | null;
  keys: string | null;
  messageId: string;
  properties: Record<string, string>;
  storedBodySize: number;
  text: string | null;
  offsetMessageId: string;
  inner?: JavaRecord[];
}

function golden(file: string): Uint8Array {
  return Deno.readFileSync(new URL(`./golden/${file}`, import.meta.url));
}

/** What Java read of the records in each file. */
const records: Record<string, JavaRecord[]> = JSON.parse(new TextDecoder().decode(golden("records.json")));

function json(file: string): JsonObject {
  return parseJson(new TextDecoder().decode(golden(`${file}.txt`))) as JsonObject;
}

/** Java writes IPv6 addresses in full. */
function short(host: string): string {
  const bytes = parseHost(host);
  return formatHost(bytes, 0, bytes.length);
}

for (const [file, expected] of Object.entries(records)) {
  Deno.test(`decodeRecords() reads ${file} as Java does`, () => {
    const bytes = golden(file);
    const { storedTopic, storedQueueId } = expected[0]!;
    const { messages, broken } = decodeRecords(bytes, {
      topic: storedTopic,
      broker: "broker-a",
      queueId: storedQueueId,
    });
    assertEquals(broken, []);
    const wanted = expected.flatMap((record) => record.inner?.length ? innerOf(record) : [record]);
    assertEquals(messages.map(seen), wanted.map(wantedOf));
    assert(messages.every((message) => message.checksumValid()));
  });
}

/** The messages of an inner batch. Of the record they have what Java leaves out, of Java's additions nothing. */
function innerOf(record: JavaRecord): JavaRecord[] {
  return record.inner!.map((inner) => {
    const { WAIT: _added, ...properties } = inner.properties;
    return { ...inner, offsetMessageId: record.offsetMessageId, properties };
  });
}

function wantedOf(java: JavaRecord) {
  const { inner: _inner, size: _size, bodyCRC: _crc, text, ...record } = java;
  return {
    ...record,
    topic: java.storedTopic.startsWith("%RETRY%") ? java.properties["RETRY_TOPIC"] : java.storedTopic,
    bornHost: short(java.bornHost),
    storeHost: short(java.storeHost),
    tags: java.tags ?? undefined,
    keys: java.keys?.split(" ") ?? [],
    properties: new Map(Object.entries(java.properties).sort()),
    text,
  };
}

function seen(message: StoredMessage): ReturnType<typeof wantedOf> {
  return {
    storedTopic: message.storedTopic,
    storedQueueId: message.storedQueueId,
    queueOffset: message.queueOffset,
    commitLogOffset: message.commitLogOffset,
    flag: message.flag,
    sysFlag: message.sysFlag,
    bornTimestamp: message.bornAt.getTime(),
    bornHost: message.bornHost,
    storeTimestamp: message.storedAt.getTime(),
    storeHost: message.storeHost,
    reconsumeTimes: message.reconsumeTimes,
    preparedTransactionOffset: message.preparedTransactionOffset,
    tags: message.tags,
    keys: message.keys as string[],
    messageId: message.messageId,
    properties: new Map([...message.properties].sort()),
    storedBodySize: message.storedBody.length,
    offsetMessageId: message.offsetMessageId,
    topic: message.topic,
    text: message.text(),
  };
}

Deno.test("encodeRecord() writes the same bytes as the brokers", () => {
  for (const [file, expected] of Object.entries(records)) {
    const bytes = golden(file);
    let at = 0;
    for (const java of expected) {
      const record = bytes.subarray(at, at += java.size);
      const bodyStart = 72 + hostSize(java.bornHost) + hostSize(java.storeHost);
      const bodyEnd = bodyStart + java.storedBodySize;
      const topicSize = java.storedTopic.length > 127 ? 2 : 1;
      const again = encodeRecord({
        ...java,
        topic: java.storedTopic,
        queueId: java.storedQueueId,
        body: record.subarray(bodyStart, bodyEnd),
        properties: new TextDecoder().decode(record.subarray(bodyEnd + topicSize + java.storedTopic.length + 2)),
      });
      assertEquals(again, record, file);
    }
    assertEquals(at, bytes.length);
  }
});

function hostSize(host: string): number {
  return host.startsWith("[") ? 20 : 8;
}

for (const [file, expected] of Object.entries<Record<string, unknown>>(frames)) {
  Deno.test(`decodeFrame() reads ${file} as Java does`, () => {
    const bytes = golden(file);
    const { body, fields, remark, ...command } = decodeFrame(bytes);
    const seen = { ...command, remark: remark ?? null, fields: { ...fields }, bodySize: body.length };
    assertEquals(seen as Record<string, unknown>, expected);
    const whole: Uint8Array[] = [];
    const reader = new FrameReader((frame) => whole.push(frame));
    for (const byte of bytes) reader.push(Uint8Array.of(byte));
    assertEquals(whole, [bytes]);
  });
}

Deno.test("4.9.7 answers in the encoding of the request, 5.3.3 in JSON", () => {
  for (const what of ["answer", "error", "pull"]) {
    assertEquals([golden(`frame-${what}-to-binary-4.9.7.bin`)[4], golden(`frame-${what}-to-binary-5.3.3.bin`)[4]], [
      1,
      0,
    ]);
  }
});

Deno.test("encodeBinaryFrame() writes the same bytes as Java", () => {
  for (const version of ["5.3.3", "4.9.7"]) {
    const bytes = golden(`frame-java-request-rocketmq-${version}.bin`);
    const { fields, ...command } = decodeFrame(bytes);
    assertEquals(encodeBinaryFrame({ ...command, fields }), bytes);
  }
});

for (const version of ["5.3.3", "4.9.7"]) {
  Deno.test(`parseJson() reads the route of ${version}, also as it is for old clients`, () => {
    for (const file of ["route", "route-for-old"]) {
      const { queueDatas, brokerDatas } = json(`${file}-${version}`);
      const [queue] = queueDatas as JsonObject[];
      const [broker] = brokerDatas as JsonObject[];
      assertEquals([queue!["brokerName"], queue!["readQueueNums"], queue!["perm"]], ["broker-a", 1, 6]);
      assertEquals([broker!["brokerName"], broker!["cluster"]], ["broker-a", "DefaultCluster"]);
      assertEquals(Object.keys(broker!["brokerAddrs"] as JsonObject), ["0"]);
    }
    assert(new TextDecoder().decode(golden(`route-for-old-${version}.txt`)).includes("{0:"));
  });

  Deno.test(`parseJson() reads the cluster info of ${version}`, () => {
    const { brokerAddrTable, clusterAddrTable } = json(`cluster-info-${version}`);
    const broker = (brokerAddrTable as JsonObject)["broker-a"] as JsonObject;
    assert(String((broker["brokerAddrs"] as JsonObject)["0"]).startsWith("127.0.0.1:"));
    assertEquals((clusterAddrTable as JsonObject)["DefaultCluster"], ["broker-a"]);
  });

  Deno.test(`parseJson() reads the statistics of ${version}, whose keys are queues`, () => {
    const only = (file: string): [JsonObject, JsonObject] => {
      const pairs = pairsOf(json(`${file}-${version}`)["offsetTable"]);
      assertEquals(pairs.length, 1);
      return pairs[0] as [JsonObject, JsonObject];
    };
    const isQueue = (key: Record<string, JsonValue>) =>
      assertEquals([key["brokerName"], key["topic"], key["queueId"]], ["broker-a", "plain", 0]);
    const [topicKey, topic] = only("topic-stats");
    isQueue(topicKey);
    assertEquals([topic["minOffset"], topic["maxOffset"]], [0, 2]);
    const [groupKey, group] = only("consume-stats");
    isQueue(groupKey);
    assertEquals([group["brokerOffset"], group["consumerOffset"]], [2, 1]);
  });
}
