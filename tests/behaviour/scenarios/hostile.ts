/** Messages whose producers claim that they are more than they are. */

import * as zlib from "node:zlib";
import { assertEquals } from "@std/assert";
import { encodeBatch } from "../../../src/wire/batch.ts";
import {
  type Scenario,
  type Scene,
  sortedTexts,
  take,
  type TestMessage,
  texts,
  untilDead,
  waitUntil,
} from "../harness.ts";

const INNER_BATCH = 0xc0;
const PACKED = 0x301;

const entry = { flag: 0, body: new TextEncoder().encode("not there"), properties: "" };

function bodyOf(count: number): Uint8Array {
  return encodeBatch(Array.from({ length: count }, () => entry));
}

export const scenarios: Scenario[] = [
  {
    name: "hostile: a message that claims to be a batch takes no offsets of others, and goes to the dead letters",
    on: ({ line }) => line === 4, // of line 5 they are refused
    async run(t: Scene) {
      const topic = await t.topic(1);
      const claims = (offset: number) => ({ INNER_BASE: String(offset), INNER_NUM: "50" });
      const bomb = zlib.deflateSync(bodyOf(100_000));
      const forged = (offset: number): TestMessage[] => [
        { body: bodyOf(50), sysFlag: INNER_BATCH },
        { body: bodyOf(50), sysFlag: INNER_BATCH, properties: claims(offset + 1) },
        { body: bomb, sysFlag: INNER_BATCH | PACKED },
        { body: bomb, sysFlag: INNER_BATCH | PACKED, properties: claims(offset + 3) },
      ];
      await t.broker.publish(topic, texts(30));
      await t.broker.publish(topic, forged(30));
      await t.broker.publish(topic, texts(30, "m", 30));
      await t.broker.publish(topic, forged(64)); // and with nothing behind them
      const { mq, events } = await t.client();
      const group = t.group();
      const consumer = await mq.consumer({ group, topics: topic, consumeFrom: "first" });
      const messages = await take(consumer, 60, { timeout: 45_000 });
      assertEquals(sortedTexts(messages), texts(60).sort());
      await untilDead(t, group, 8);
      assertEquals(events.filter(({ type }) => type === "broken").length, 8);
      const queue = { topic, queueId: 0 };
      await waitUntil(async () => await t.broker.committed(group, queue) === 68, { what: "all to be committed" });
    },
  },
];
