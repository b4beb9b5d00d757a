import { assert } from "@std/assert";
import { ProcessQueue } from "../../src/consumer/process_queue.ts";
import { NetworkError } from "../../src/errors.ts";
import type { MessageQueue } from "../../src/message.ts";
import { decodeRecords, unpackBatches } from "../../src/wire/record.ts";
import records from "../wire/golden/records.json" with { type: "json" };
import { SeededRandom } from "../wire/seeded_random.ts";

/** What a broker answered once. */
interface Golden {
  readonly bytes: Uint8Array;
  readonly queue: MessageQueue;
  readonly begin: number;
  readonly end: number;
}

const answers: Golden[] = Object.entries(records).map(([file, all]) => {
  const { storedTopic: topic, storedQueueId: queueId, queueOffset: begin } = all[0]!;
  const last = all.at(-1)!;
  const bytes = Deno.readFileSync(new URL(`../wire/golden/${file}`, import.meta.url));
  const end = last.queueOffset + Number("INNER_NUM" in last.properties ? last.properties.INNER_NUM : 1);
  return { bytes, queue: { topic, broker: "broker-a", queueId }, begin, end };
});

/** Changes bytes anywhere, and more often those that tell of sizes, queues, offsets and flags; repeats or cuts. */
function damaged({ bytes }: Golden, random: SeededRandom): Uint8Array {
  const copy = bytes.slice();
  for (let hits = random.below(4); hits > 0; hits--) {
    const at = random.below(2) === 0 ? random.below(copy.length) : 4 + random.below(36);
    copy[at] = random.pick([random.below(256), 0, 1, 0xc0, 0xff]);
  }
  if (random.below(5) > 0) return copy;
  return Uint8Array.from([...copy, ...bytes.subarray(0, random.pick([bytes.length, random.below(bytes.length)]))]);
}

Deno.test("answers of brokers, whole or damaged, give no offset outside of them and move nothing past a message", async () => {
  const random = new SeededRandom(77);
  let [whole, messagesRead, brokenRead] = [0, 0, 0];
  for (let round = 0; round < 6_000; round++) {
    const golden = random.pick(answers);
    const begin = golden.begin + (random.below(4) === 0 ? random.below(3) : 0);
    const end = random.below(5) === 0 ? random.below(12) - 1 : golden.end;
    const isWhole = random.below(10) === 0;
    const process = new ProcessQueue(begin);
    try {
      const read = decodeRecords(isWhole ? golden.bytes : damaged(golden, random), golden.queue, { begin, end });
      const { messages, broken } = read.packed.length === 0 ? read : await unpackBatches(read, 1_000_000);
      const isBounded = end > begin;
      if (isBounded) assert(messages.length <= end - begin, `round ${round}: ${messages.length} messages`);
      process.put(messages, end);
      if (isWhole && isBounded && end === golden.end) {
        whole++;
        assert(messages.length === end - begin && broken.length === 0, `round ${round}: ${golden.queue.topic}`);
      }
      messagesRead += messages.length;
      brokenRead += broken.length;
      checkSettling(process, messages.map(({ queueOffset }) => queueOffset), isBounded ? [begin, end] : undefined);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
    }
  }
  assert(whole > 200 && messagesRead > 3_000 && brokenRead > 500, `${whole}, ${messagesRead}, ${brokenRead}`);
});

/** Settles all that a queue holds, the newest first: nothing can be committed before the oldest is settled. */
function checkSettling(process: ProcessQueue, offsets: number[], span: readonly [number, number] | undefined): void {
  for (const [i, offset] of offsets.entries()) {
    assert(i === 0 || offset > offsets[i - 1]!, `${offsets} do not rise`);
    if (span !== undefined) assert(offset >= span[0] && offset < span[1], `${offset} is not within ${span}`);
  }
  if (span !== undefined) assert(process.position === span[1]);
  if (offsets.length === 0) return;
  assert(process.position > offsets.at(-1)!);
  const { first, messages } = process.take(offsets.length)!;
  for (let i = messages.length - 1; i > 0; i--) {
    process.settle(first + i);
    assert(process.committable === offsets[0]);
  }
}
