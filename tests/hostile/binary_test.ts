/** Frames, headers, batches, records: what is made of bytes with lengths in them. */

import { assert } from "@std/assert";
import { decodeBatch, encodeBatch } from "../../src/wire/batch.ts";
import { decodeHeader, type Fields } from "../../src/wire/fields.ts";
import { decodeFrame, encodeBinaryFrame, encodeFrame, FrameReader } from "../../src/wire/frame.ts";
import {
  decodeRecords,
  decodeStored,
  MAX_BODY_SIZE,
  type StoredMessage,
  unpackBatches,
} from "../../src/wire/record.ts";
import * as requests from "../../src/wire/requests.ts";
import type { SeededRandom } from "../wire/seeded_random.ts";
import { hostileAnswer } from "./answers.ts";
import { damaged, goldens, joined } from "./damage.ts";
import { testHostile } from "./ring.ts";

const captured = goldens("frame-");
const headers: Fields[] = Object.values(requests).flatMap((spec) =>
  typeof spec === "object" && "header" in spec ? [spec.header, spec.answer] : []
);

/** A frame of random fields. */
function madeFrame(random: SeededRandom): Uint8Array {
  const encode = random.pick([encodeFrame, encodeBinaryFrame]);
  const fields: Record<string, string> = {};
  for (let n = random.below(9); n > 0; n--) {
    const names = Object.keys(random.pick(headers));
    const name = names.length === 0 || random.below(4) === 0 ? random.text(6) : random.pick(names);
    fields[name] = random.pick([random.text(12), String(random.below(2 ** 40)), "-1", "true", "9".repeat(20)]);
  }
  const body = random.bytes(random.below(40));
  return encode({ code: random.below(400), opaque: random.below(2 ** 31), flag: random.below(4), fields, body });
}

function frame(random: SeededRandom): Uint8Array {
  return random.below(2) === 0 ? random.pick(captured) : madeFrame(random);
}

testHostile({
  name: "streams of frames",
  inputs: 2_000,
  make(random) {
    const input = damaged(
      joined(...Array.from({ length: 1 + random.below(4) }, () => frame(random))),
      random,
      captured,
    );
    const inPlace = random.below(2) === 0;
    return {
      input,
      run() {
        let size = 0;
        const take = (frame: Uint8Array) => {
          size += frame.length;
          decodeFrame(frame);
        };
        const reader = new FrameReader(take, { inPlace, onTooLarge: (head) => void decodeFrame(head) });
        for (let at = 0; at < input.length;) {
          const piece = 1 + random.below(random.pick([3, 200, 5_000]));
          reader.push(input.slice(at, at + piece));
          at += piece;
        }
        assert(size <= input.length);
      },
    };
  },
});

testHostile({
  name: "headers",
  inputs: 4_000,
  make(random) {
    const input = damaged(frame(random), random, captured);
    return {
      input,
      run() {
        const { fields, body } = decodeFrame(input);
        assert(body.length < input.length);
        const header = decodeHeader(random.pick(headers), fields, "a header");
        for (const value of Object.values(header)) assert(typeof value !== "number" || Number.isSafeInteger(value));
      },
    };
  },
});

testHostile({
  name: "batches",
  inputs: 2_000,
  make(random) {
    const messages = Array.from({ length: random.below(6) }, (_, flag) => {
      return { flag, body: random.bytes(random.below(50)), properties: random.text(30) };
    });
    const input = damaged(encodeBatch(messages), random);
    return {
      input,
      run() {
        const read = decodeBatch(input);
        let size = 0;
        for (const { body } of read) {
          size += 22 + body.length;
          assert(body.length === 0 || body.buffer === input.buffer); // a view
        }
        assert(size <= input.length);
      },
    };
  },
});

/** Looks at all of a message that does not unpack its body. */
function lookAt(message: StoredMessage, input: Uint8Array): void {
  const { storedBody, record } = message;
  const values = [
    [message.queue, message.topic, message.storedTopic, message.tags, message.keys, message.messageId],
    [message.offsetMessageId, message.bornAt, message.storedAt, message.bornHost, message.storeHost],
    [message.flag, message.sysFlag, message.reconsumeTimes, message.checksumValid(), message.properties.size],
    [message.commitLogOffset, message.preparedTransactionOffset, message.isLargePacked, message.heldSize],
  ];
  assert(values.length > 0 && record.length <= input.length && storedBody.length <= record.length);
  for (const [name, value] of message.properties) assert(message.property(name) === value, name);
}

testHostile({
  name: "answers to pulls",
  inputs: 4_000,
  make(random) {
    const { bytes: input, queue, span } = hostileAnswer(random);
    const isBounded = random.below(3) > 0;
    return {
      input,
      async run() {
        const records = decodeRecords(input, queue, isBounded ? span : undefined);
        const { messages, broken } = await unpackBatches(records, MAX_BODY_SIZE);
        for (const message of records.messages) lookAt(message, input);
        for (const { bytes, queueOffset = 0 } of broken) assert(bytes.length <= input.length && queueOffset >= 0);
        if (!isBounded) return 4 * MAX_INNER * records.packed.length;
        let last = span.begin - 1;
        for (const { queueOffset } of messages) {
          assert(queueOffset > last, `offset ${queueOffset} behind ${last}`);
          last = queueOffset;
        }
        assert(span.end <= span.begin || last < span.end, `offset ${last} in an answer up to ${span.end}`);
        return 4 * MAX_INNER * records.packed.length;
      },
    };
  },
});

/** What the inner batches of these tests unpack to, at the most. */
const MAX_INNER = 40 * 31 + 1_024;

testHostile({
  name: "stored records",
  inputs: 1_000,
  make(random) {
    const { bytes: input, queue } = hostileAnswer(random);
    return { input, run: () => lookAt(decodeStored(input, queue), input) };
  },
});
