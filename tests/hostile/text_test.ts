/** Properties, JSON, routes, the strings of POP, ids: what is made of texts. */

import { assert, assertEquals } from "@std/assert";
import { parseRoute } from "../../src/cluster/route_data.ts";
import { MOST_ADDRESSES, MOST_BROKERS, MOST_QUEUES } from "../../src/cluster/route_limits.ts";
import { uniteRoutes } from "../../src/cluster/route_union.ts";
import { readRoute } from "../../src/cluster/routes.ts";
import { NetworkError } from "../../src/errors.ts";
import {
  readAssignment,
  readBatchAcks,
  readConnections,
  readConsumerList,
  readHeartbeat,
  readLocked,
  readReset,
  readTimeSpans,
} from "../../src/wire/body_readers.ts";
import { decodeHeader } from "../../src/wire/fields.ts";
import { decodeFrame } from "../../src/wire/frame.ts";
import { pairsOf, parseBody } from "../../src/wire/json.ts";
import { parseOffsetMessageId } from "../../src/wire/message_id.ts";
import { parseMsgOffsetInfo, parseOrderCountInfo, parsePopReceipt, parseStartOffsetInfo } from "../../src/wire/pop.ts";
import { decodeAckBits } from "../../src/wire/pop_acks.ts";
import { receiveBroken, receivePopped } from "../../src/wire/pop_receive.ts";
import { encodeProperties, findProperty, parseProperties } from "../../src/wire/properties.ts";
import { decodeRecords } from "../../src/wire/record.ts";
import { getRoute, popMessage } from "../../src/wire/requests.ts";
import { readable } from "../../src/wire/utf8.ts";
import pops from "../wire/golden/pops.json" with { type: "json" };
import type { SeededRandom } from "../wire/seeded_random.ts";
import { damaged, golden, goldens } from "./damage.ts";
import { testHostile } from "./ring.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const bodies = ["route-", "cluster-info-", "consume-stats-", "topic-stats-"].flatMap(goldens);
const TOKENS = [...'{}{}[]:,"\\u0129-.eE tfn', "true", "null", '"a"', '{"a":1}', "999", "4294967294"];

function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

testHostile({
  name: "properties",
  inputs: 1_500,
  make(random) {
    const names = Array.from({ length: random.below(8) }, () => `n${random.text(3, ["a", "b", "é"])}`);
    const text = encodeProperties(names.map((name) => [name, `v${random.text(40)}`]));
    const input = damaged(bytesOf(text), random);
    return {
      input,
      run() {
        const parsed = parseProperties(decoder.decode(input));
        for (const name of names) {
          assertEquals(findProperty(readable(input), 0, input.length, bytesOf(name)), parsed.get(name), name);
        }
        // They are never refused: what is no pair is left out.
        if (random.below(2) === 0) throw new NetworkError("as if it were refused", "", "MALFORMED_FRAME");
      },
    };
  },
});

testHostile({
  name: "JSON bodies",
  inputs: 3_000,
  make(random) {
    const input = random.below(2) === 0
      ? damaged(random.pick(bodies), random, bodies)
      : bytesOf(random.text(16, TOKENS));
    return {
      input,
      run() {
        const theirs = usual(decoder.decode(input));
        try {
          const ours = parseBody(input, getRoute);
          pairsOf(ours);
          if (theirs === undefined) return; // names without quotes, and objects as names, are no JSON
          assertEquals(JSON.stringify(ours, bigints), JSON.stringify(theirs, bigints));
        } catch (error) {
          // We refuse nothing that is JSON, but for what is out of bounds.
          assert(theirs === undefined || LIMITS.test(String(error)), String(error));
          throw error;
        }
      },
    };
  },
});

const LIMITS = /more than \d+|an integer of \d+/;

/** What JSON.parse() reads; undefined if it is none. */
function usual(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Integers beyond 2^53 are exact here, and are not in JSON.parse(). */
function bigints(_name: string, value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}

/** Bodies as servers and clients write them. */
const samples: readonly (readonly [string, (body: Uint8Array) => unknown])[] = [
  ['{"consumerIdList":["a@1","b@2"]}', readConsumerList],
  [
    '{"connectionSet":[{"clientId":"a","clientAddr":"1.2.3.4:5","language":"JAVA","version":455}],"subscriptionTable":' +
    '{"t":{"topic":"t","subString":"*","tagsSet":["a"],"codeSet":[97],"subVersion":1,"expressionType":"TAG"}}}',
    readConnections,
  ],
  ['{"lockOKMQSet":[{"brokerName":"a","queueId":0,"topic":"t"}]}', readLocked],
  [
    '{"offsetTable":{{"brokerName":"a","queueId":0,"topic":"t"}:5,{"brokerName":"a","queueId":1,"topic":"t"}:6}}',
    readReset,
  ],
  [
    '{"messageQueueAssignments":[{"messageQueue":{"brokerName":"a","queueId":-1,"topic":"t"},"mode":"POP"}]}',
    readAssignment,
  ],
  ['{"consumeTimeSpanSet":[{"messageQueue":{"brokerName":"a","queueId":0,"topic":"t"},"delayTime":5}]}', readTimeSpans],
  [
    '{"clientID":"a","consumerDataSet":[{"groupName":"g","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING",' +
    '"subscriptionDataSet":[{"topic":"t","subString":"*","subVersion":"7"}]}],"heartbeatFingerprint":0}',
    readHeartbeat,
  ],
  ['{"brokerName":"a","acks":[{"c":"g","t":"t","r":"0","so":1,"q":0,"rq":0,"pt":1,"it":1,"b":"AQ=="}]}', readBatchAcks],
];
const VALUES = [
  "null",
  "{}",
  "[]",
  '""',
  "-1",
  "1e400",
  "[null]",
  '{"then":1}',
  '{"toString":1}',
  "99999999999999999999",
];

testHostile({
  name: "bodies of requests and answers",
  inputs: 2_000,
  make(random) {
    const [sample, read] = random.pick(samples);
    // Half of them stay JSON: one value is another.
    const at = random.below(sample.length);
    const swapped = sample.slice(0, at) +
      sample.slice(at).replace(/"[^"]*"(?=[,}\]])|\[[^[\]]*\]|-?\d+/, random.pick(VALUES));
    const input = random.below(2) === 0 ? bytesOf(swapped) : damaged(bytesOf(sample), random, bodies);
    return { input, run: () => void JSON.stringify(read(input)) };
  },
});

testHostile({
  name: "routes",
  inputs: 1_000,
  make(random) {
    const routes = goldens("route-");
    const answers = Array.from({ length: 1 + random.below(3) }, () => damaged(random.pick(routes), random, routes));
    return {
      input: answers[0]!,
      run() {
        const { data } = uniteRoutes(answers.map((body) => parseRoute(body).data));
        const { readQueues, writeQueues, brokers } = readRoute("t", data);
        assert(readQueues.length <= MOST_QUEUES && writeQueues.length <= MOST_QUEUES && brokers.size <= MOST_BROKERS);
        assert([...brokers.values()].reduce((sum, { size }) => sum + size, 0) <= MOST_ADDRESSES);
      },
    };
  },
});

const popped = Object.keys(pops.files).map((file) => decodeFrame(golden(file)));
const infos = popped.flatMap(({ fields }) => {
  return [fields.startOffsetInfo, fields.msgOffsetInfo, fields.orderCountInfo].flatMap((text) => text ?? []);
});
const receipts = Object.values(pops.files).flatMap((all) => all.map(({ receipt }) => receipt));

/** A text with damage to its characters. */
function damagedText(text: string, random: SeededRandom): string {
  return decoder.decode(damaged(bytesOf(text), random, infos.map(bytesOf)));
}

testHostile({
  name: "the strings of POP",
  inputs: 1_500,
  make(random) {
    const [text, parse] = random.pick(
      [
        [random.pick(receipts), parsePopReceipt],
        [random.pick(infos), parseStartOffsetInfo],
        [random.pick(infos), parseMsgOffsetInfo],
        [random.pick(infos), parseOrderCountInfo],
        ["7F00000100002A9F00000000000000E5", parseOffsetMessageId],
        ["BQIAAAAAAIAB", (bits: string) => decodeAckBits(100, bits)],
      ] as const,
    );
    const input = bytesOf(random.below(30) === 0 ? text.repeat(random.below(40_000)) : damagedText(text, random));
    return { input, run: () => void parse(decoder.decode(input)) };
  },
});

testHostile({
  name: "answers to pops",
  inputs: 1_500,
  make(random) {
    const { body, fields } = random.pick(popped);
    const input = damaged(body, random, popped.map(({ body }) => body));
    const damagedFields = Object.fromEntries(
      Object.entries(fields).map(([name, text]) => [name, random.below(4) === 0 ? damagedText(text, random) : text]),
    );
    return {
      input,
      run() {
        const answer = decodeHeader(popMessage.answer, damagedFields, "PopMessage answer");
        const { messages, broken } = decodeRecords(input, { topic: "orders", broker: "broker-a", queueId: -1 });
        const received = receivePopped(messages, answer, "broker-a");
        assert(received.popped.length <= messages.length && received.strange.length <= messages.length);
        const named = [...parseMsgOffsetInfo(answer.msgOffsetInfo ?? "").values()].flat();
        const receipts = [
          ...received.popped.map(({ receipt }) => receipt),
          ...receiveBroken(broken, answer, "broker-a").flatMap((receipt) => receipt ?? []),
        ];
        for (const { popTime, queueOffset } of receipts) {
          assertEquals(popTime, answer.popTime);
          assert(named.length === 0 || named.includes(queueOffset), `offset ${queueOffset} is none of ${named}`);
        }
      },
    };
  },
});
