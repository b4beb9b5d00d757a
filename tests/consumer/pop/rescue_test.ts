/** Popped records that cannot be read. */

import { assertEquals } from "@std/assert";
import type { BrokenPopped } from "../../../src/brokers/pop_client.ts";
import { PopRescue } from "../../../src/consumer/pop/rescue.ts";
import { NetworkError, ResponseError } from "../../../src/errors.ts";
import { KeptEvents, receipt } from "./fakes.ts";

const place = { topic: "orders", broker: "b", queueId: -1 };

/** A rescue with a broker that does what it is told. */
class Bench {
  readonly events = new KeptEvents();
  readonly log: string[] = [];
  /** What requests fail with, one after the other; undefined is success. */
  failures: (Error | undefined)[] = [];
  readonly rescue = new PopRescue({
    group: "billing",
    events: this.events,
    client: { ack: (broker, acks) => this.#ask(`ack ${acks.map(({ receipt }) => receipt.queueOffset)}@${broker}`) },
    sendBack: ({ commitLogOffset, queue, topic }, { delayLevel, group }) =>
      this.#ask(`bury ${commitLogOffset} of ${topic}@${queue.broker} ${delayLevel} ${group}`),
  });

  async add(...broken: BrokenPopped[]): Promise<void> {
    this.rescue.add(place, broken);
    await this.rescue.whenIdle();
  }

  #ask(line: string): Promise<void> {
    this.log.push(line);
    const failure = this.failures.shift();
    return failure === undefined ? Promise.resolve() : Promise.reject(failure);
  }
}

function broken(queueOffset: number, hasReceipt = true): BrokenPopped {
  const error = new NetworkError("Cannot read the record", "", "MALFORMED_FRAME");
  const place = { queueId: 0, queueOffset, commitLogOffset: 1_000 * queueOffset, storeHost: undefined };
  const record = { ...place, bytes: new Uint8Array(), error };
  return { record, receipt: hasReceipt ? receipt(queueOffset) : undefined };
}

const refusal = () => new ResponseError("SendBack", 1, "b", "no");

Deno.test("PopRescue stores a record in the dead letter queue of its broker, then acknowledges it, with one event", async () => {
  const bench = new Bench();
  await bench.add(broken(3), broken(4));
  assertEquals(bench.log.toSorted(), [
    "ack 3@b",
    "ack 4@b",
    "bury 3000 of orders@b -1 billing",
    "bury 4000 of orders@b -1 billing",
  ]);
  assertEquals(bench.events.types, ["broken", "broken"]);
  const [{ topic, queue, offset, broker, group } = {}] = bench.events.kept;
  assertEquals(
    [topic, queue, offset, broker, group],
    ["orders", { topic: "orders", broker: "b", queueId: 0 }, 3, "b", "billing"],
  );
});

Deno.test("PopRescue never acknowledges a record that is not stored, and tries again when it is redelivered", async () => {
  const bench = new Bench();
  bench.failures = [refusal()];
  await bench.add(broken(3));
  assertEquals([bench.log.length, bench.events.types], [1, ["broken", "sendBackFailed"]]);
  await bench.add(broken(3));
  assertEquals(bench.log.slice(1), ["bury 3000 of orders@b -1 billing", "ack 3@b"]);
});

Deno.test("PopRescue stores a record once, whatever becomes of its ack", async () => {
  const bench = new Bench();
  bench.failures = [undefined, refusal()];
  await bench.add(broken(3));
  assertEquals(bench.events.types, ["broken", "ackFailed"]);
  await bench.add(broken(3));
  assertEquals(bench.log, ["bury 3000 of orders@b -1 billing", "ack 3@b", "ack 3@b"]);
  assertEquals(bench.events.types, ["broken", "ackFailed"], "it is told of once");
  bench.rescue.add(place, [broken(5)]);
  bench.rescue.add(place, [broken(5)]); // while the first is on its way
  await bench.rescue.whenIdle();
  assertEquals(bench.log.filter((line) => line.startsWith("bury 5000")).length, 1);
});

Deno.test("PopRescue stores a record whose receipt is not certain, and acknowledges nothing", async () => {
  const bench = new Bench();
  await bench.add(broken(3, false));
  await bench.add(broken(3, false));
  assertEquals(bench.log, ["bury 3000 of orders@b -1 billing"]);
  assertEquals(bench.events.types, ["broken", "ackFailed", "ackFailed"]);
});
