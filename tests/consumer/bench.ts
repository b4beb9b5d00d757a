/** Dispatcher, settlement and queues put together, for tests of what becomes of messages. */

import { assert } from "@std/assert";
import type { FakeTime } from "@std/testing/time";
import type { SendBackOptions } from "../../src/brokers/broker_client.ts";
import type { Batch } from "../../src/consumer/delivery/batch.ts";
import { ConcurrentSettlement } from "../../src/consumer/delivery/concurrent_settlement.ts";
import { SendBack, Skip } from "../../src/consumer/delivery/redelivery.ts";
import { Dispatcher } from "../../src/consumer/delivery/dispatcher.ts";
import type { ConsumerOptions } from "../../src/consumer/options.ts";
import { OrderedSettlement } from "../../src/consumer/delivery/ordered_settlement.ts";
import { OwnedQueue } from "../../src/consumer/queue/owned_queue.ts";
import type { KeyOf } from "../../src/consumer/queue/key_order.ts";
import { QueueDelivery } from "../../src/consumer/delivery/queue_delivery.ts";
import { ProcessQueue } from "../../src/consumer/queue/process_queue.ts";
import type { Settlement } from "../../src/consumer/delivery/settlement.ts";
import { EventHub, type StatusEvent } from "../../src/events.ts";
import type { Message } from "../../src/message.ts";
import { fakeMessage, options, queue, stillLoop } from "./fakes.ts";

/** In by-key consumption, the key of fake messages: `"even"` or `"odd"`. */
function keyOf({ queueOffset }: Message): string {
  return queueOffset % 2 === 0 ? "even" : "odd";
}

/** Dispatcher, settlement and queues, without brokers. */
export class Bench {
  readonly sentBack: { offset: number; level: number }[] = [];
  readonly copied: number[] = [];
  readonly events: StatusEvent["type"][] = [];
  /** The texts of the same events. */
  readonly texts: string[] = [];
  sendBacksTried = 0;
  copiesTried = 0;
  failSendBack = false;
  failCopy = false;
  /** What send-backs wait for, if anything. */
  hold: Promise<void> | undefined;
  readonly settlement: Settlement;
  readonly dispatcher: Dispatcher<OwnedQueue, Batch>;
  #keyOf: KeyOf | undefined;

  /** Without `nextTurn` no turn of the event loop is waited for: how busy the machine is must not count. */
  constructor(some: Partial<ConsumerOptions> = {}, nextTurn = () => Promise.resolve()) {
    const checked = options(some);
    const events = new EventHub(false);
    events.emit = (_level, type, text) => {
      this.events.push(type);
      this.texts.push(text);
    };
    const sendBack = new SendBack({
      options: checked,
      events,
      sendBack: async (message, { delayLevel }: SendBackOptions) => {
        this.sendBacksTried++;
        if (this.failSendBack) throw new Error("no send-back");
        if (this.hold !== undefined) await this.hold;
        this.sentBack.push({ offset: message.commitLogOffset, level: delayLevel });
      },
      sendCopy: (message) => {
        this.copiesTried++;
        if (this.failCopy) return Promise.reject(new Error("no copy"));
        this.copied.push(message.queueOffset);
        return Promise.resolve();
      },
      sendBroken: () => Promise.resolve(),
    });
    const redelivery = checked.model === "broadcasting" ? new Skip("billing", events) : sendBack;
    const Rules = checked.ordering === "concurrent" ? ConcurrentSettlement : OrderedSettlement;
    const sink = { offer: (owned: OwnedQueue) => this.dispatcher.offer(owned) };
    this.settlement = new Rules({ options: checked, events, redelivery, sink });
    this.#keyOf = { concurrent: undefined, orderly: () => "", byKey: keyOf }[checked.ordering];
    const delivery = new QueueDelivery(this.settlement, checked.consumeTimeout);
    this.dispatcher = new Dispatcher(
      checked.batchSize,
      (owned, max, topic) => delivery.deliver(owned, max, topic),
      nextTurn,
    );
  }

  /** An open queue with messages of these offsets. */
  queue(queueId: number, ...offsets: number[]): OwnedQueue {
    const owned = new OwnedQueue({ ...queue, queueId }, false);
    const process = new ProcessQueue(offsets[0] ?? 0, this.#keyOf);
    owned.open({ process, loop: stillLoop });
    process.put(
      offsets.map((offset) => Object.assign(fakeMessage(offset), { commitLogOffset: offset })),
      (offsets.at(-1) ?? -1) + 1,
    );
    this.dispatcher.offer(owned);
    return owned;
  }

  /** The next batch; with a faked clock the dispatcher's turn of the event loop has to be given to it. */
  async take(time?: FakeTime): Promise<Batch> {
    const taken = this.dispatcher.take({});
    await time?.tickAsync(0);
    const batch = await taken;
    assert(batch !== undefined);
    return batch;
  }

  close(): void {
    this.dispatcher.close();
    this.settlement.close();
  }
}

/** The offsets of a batch. */
export function offsets(batch: { messages: readonly { queueOffset: number }[] }): number[] {
  return batch.messages.map((message) => message.queueOffset);
}
