/** Stand-ins for what a part of a POP consumer is given. */

import { Delivery } from "../../../src/consumer/pop/delivery.ts";
import { EventHub, type StatusEvent } from "../../../src/events.ts";
import { statusEvent } from "../../../src/status_event.ts";
import type { Message } from "../../../src/message.ts";
import type { PopReceipt } from "../../../src/wire/pop.ts";
import { standIn } from "../../untyped.ts";

/** A message that was popped, and by what its broker knows it. */
export function delivery(queueOffset: number, reconsumeTimes = 0): Delivery {
  const queue = { topic: "orders", broker: "b", queueId: 0 };
  const some = { topic: "orders", messageId: `id${queueOffset}`, queueOffset, reconsumeTimes, queue };
  return new Delivery(standIn<Message>(some), receipt(queueOffset));
}

/** A receipt as it is after `changes` changes of the invisible time. */
export function receipt(queueOffset: number, changes = 0): PopReceipt {
  return {
    startOffset: 0,
    popTime: 1_000 + changes,
    invisibleTime: 60_000,
    reviveQueueId: 1,
    retry: 0,
    broker: "b",
    queueId: 0,
    queueOffset,
  };
}

/** The offsets of messages. */
export function offsetsOf(messages: Iterable<{ queueOffset: number }>): number[] {
  return [...messages].map(({ queueOffset }) => queueOffset);
}

/** A hub that keeps what it is told. */
export class KeptEvents extends EventHub {
  readonly kept: StatusEvent[] = [];

  constructor() {
    super(false);
  }

  override emit(level: StatusEvent["level"], type: StatusEvent["type"], text: string, details = {}): void {
    this.kept.push(statusEvent(level, type, text, details));
  }

  get types(): string[] {
    return this.kept.map(({ type }) => type);
  }
}

/** Fakes the monotonic clock as well: what is faked by `FakeTime` stands still on it. */
export function fakeMonotonicClock(): Disposable {
  const real = performance.now;
  performance.now = () => Date.now();
  return { [Symbol.dispose]: () => void (performance.now = real) };
}
