/** The observers of users: what they are called with, whatever becomes of messages, and that they change nothing. */

import { assertEquals } from "@std/assert";
import { type Client, connect, type Observer } from "../../mod.ts";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { waitUntil } from "../behaviour/harness.ts";
import type { StatusEvent } from "../../mod.ts";

/** Notes deliveries as `consumer orders 2`, and their ends as `acknowledged 2`, `failed 1: no`. */
function noting(notes: string[]): Observer {
  return {
    onDeliver: ({ consumer, group, topic, messages }) => {
      notes.push(`${consumer} ${group} ${topic} ${messages.length}`);
      return {
        onSettle: ({ outcome, messages, error }) => {
          const reason = error instanceof Error ? `: ${error.message}` : "";
          notes.push(`${outcome} ${messages.map((message) => message.text())}${reason}`);
        },
      };
    },
  };
}

async function observed(
  work: (mq: Client, broker: EmbeddedBroker, notes: string[], events: StatusEvent[]) => Promise<void>,
  more: readonly Observer[] = [],
): Promise<void> {
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } }, delayLevels: [10, 10, 10, 10] });
  const notes: string[] = [];
  const events: StatusEvent[] = [];
  await using mq = await connect({
    nameServers: broker.nameServer,
    logger: false,
    observers: [...more, noting(notes)],
  });
  const status = mq.status();
  const reading = (async () => {
    for await (const event of status) events.push(event);
  })();
  await work(mq, broker, notes, events);
  await mq.close();
  await reading;
}

Deno.test("observers follow the messages of a consumer: acknowledged, retried, dead-lettered, released, revoked", async () => {
  await observed(async (mq, broker, notes) => {
    await broker.publish("orders", ["a", "b", "c", "d"]);
    const consumer = await mq.consumer({
      group: "billing",
      topics: "orders",
      consumeFrom: "first",
      autoAck: false,
      suspendQueue: 10,
    });
    const batches = consumer.batches();
    const first = (await batches.next()).value!;
    await first.ack(first.messages[0]);
    await first.deadLetter(first.messages[1]);
    first.release();
    const again = (await batches.next()).value!;
    await again.retry(again.messages[0]!);
    await consumer.close({ timeout: 0 });
    assertEquals(notes, [
      "consumer billing orders 4",
      "acknowledged a",
      "deadLettered b",
      "released c,d",
      "consumer billing orders 2",
      "retried c",
      "revoked d",
    ]);
  });
});

Deno.test("observers learn what a handler threw, and of POP consumers and readers", async () => {
  await observed(async (mq, broker, notes) => {
    await broker.publish("orders", ["a"]);
    const consumer = await mq.consumer({ group: "billing", topics: "orders", consumeFrom: "first" });
    const running = consumer.run((batch) => {
      if (batch.messages[0]!.reconsumeTimes === 0) throw new Error("no");
    }, { concurrency: 1 });
    await waitUntil(() => notes.length === 4, { what: "the retry is consumed" });
    await consumer.close();
    await running;
    await using pop = await mq.popConsumer({ group: "poppers", topics: "orders" });
    await broker.publish("orders", ["b"]);
    for await (const _batch of pop) break;
    await using reader = await mq.reader({ topic: "orders", from: "earliest" });
    for await (const batch of reader) if (batch.messages.some((message) => message.text() === "b")) break;
    assertEquals(notes.slice(0, 4), [
      "consumer billing orders 1",
      "failed a: no",
      "consumer billing orders 1",
      "acknowledged a",
    ]);
    assertEquals(notes.filter((note) => note.startsWith("popConsumer poppers orders")).length, 1);
    assertEquals(notes.some((note) => note.startsWith("reader ")), true);
  });
});

Deno.test("an observer that throws, rejects or returns a promise is an event, and changes nothing", async () => {
  const bad: Observer[] = [
    {
      onDeliver: () => {
        throw new RangeError("onDeliver fails");
      },
    },
    {
      onDeliver: () => ({
        onSettle: () => {
          throw new RangeError("onSettle fails");
        },
      }),
    },
  ];
  await observed(async (mq, broker, notes, events) => {
    await broker.publish("orders", ["a"]);
    await using consumer = await mq.consumer({ group: "billing", topics: "orders", consumeFrom: "first" });
    for await (const batch of consumer) {
      await batch.ack();
      break;
    }
    assertEquals(notes, ["consumer billing orders 1", "acknowledged a"]);
    await waitUntil(() => events.some(({ type }) => type === "observerFailed"), { what: "an event" });
  }, bad);
});
