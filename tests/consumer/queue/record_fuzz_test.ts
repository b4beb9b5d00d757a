import { assert } from "@std/assert";
import { ProcessQueue } from "../../../src/consumer/queue/process_queue.ts";
import { decodeRecords, MAX_BODY_SIZE, unpackBatches } from "../../../src/wire/record.ts";
import { hostileAnswer } from "../../hostile/answers.ts";
import { testHostile } from "../../hostile/ring.ts";

testHostile({
  name: "answers in a process queue, which moves past no message",
  inputs: 4_000,
  make(random) {
    const { bytes: input, queue, span: { begin, end }, isWhole } = hostileAnswer(random);
    return {
      input,
      mayHold: 4_096,
      async run() {
        const process = new ProcessQueue(begin);
        const { messages, broken } = await unpackBatches(
          decodeRecords(input, queue, { begin, end }),
          MAX_BODY_SIZE,
        );
        const isBounded = end > begin;
        assert(!isBounded || messages.length <= end - begin, `${messages.length} messages`);
        assert(!isWhole || (messages.length === end - begin && broken.length === 0), "it is right, and was not read");
        process.put(messages, end);
        checkSettling(process, messages.map(({ queueOffset }) => queueOffset), isBounded ? [begin, end] : undefined);
      },
    };
  },
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
