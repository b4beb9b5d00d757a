/**
 * Messages that wait for their time. Sources: ScheduleMessageService, HookUtils.
 *
 * @module
 */

import { PropertyName } from "../wire/codes.ts";
import { encodeProperties } from "../wire/properties.ts";
import { Heap } from "./heap.ts";
import type { NewMessage, StoreLimits } from "./store.ts";
import type { Job, Scheduler } from "./scheduler.ts";

/** What a waiting message takes besides its body, roughly, in bytes. */
const OVERHEAD = 512;

/** How far ahead a timer message may be, in milliseconds. Source: MessageStoreConfig.timerMaxDelaySec. */
const LONGEST_TIMER = 3 * 24 * 3_600_000;
/** Timer messages come at whole seconds, and a second early if theirs is one. Source: timerPrecisionMs. */
const TIMER_PRECISION = 1_000;

const TIMER_SECONDS = "TIMER_DELAY_SEC";
const TIMER_MILLISECONDS = "TIMER_DELAY_MS";
const TIMER_TIME = "TIMER_DELIVER_MS";
/** Says that a message has waited already: it does not when it comes back. */
const TIMER_OUT = "TIMER_OUT_MS";

/** When a message is due, and the offset that it gets among those that wait as it does. */
interface Plan {
  readonly due: number;
  readonly queue: string;
  readonly properties: Map<string, string>;
}

interface Waiting {
  readonly due: number;
  readonly sequence: number;
  readonly message: NewMessage;
}

/** The messages that wait, and what the delay levels mean. */
export class Delays implements Job {
  #levels: readonly number[];
  #hasTimers: boolean;
  #limits: StoreLimits;
  #deliver: (message: NewMessage) => void;
  #scheduler: Scheduler;
  #waiting = new Heap<Waiting>((a, b) => a.due < b.due || (a.due === b.due && a.sequence < b.sequence));
  #bytes = 0;
  /** How many messages each level and the timers have seen: the offsets of their queues. */
  #counts = new Map<string, number>();
  #sequence = 0;

  /**
   * Makes an empty waiting room; `deliver` gets each message when its time has come. Without timers, as before 5.0,
   * only delay levels count.
   */
  constructor(
    levels: readonly number[],
    hasTimers: boolean,
    limits: StoreLimits,
    scheduler: Scheduler,
    deliver: (message: NewMessage) => void,
  ) {
    this.#levels = levels;
    this.#hasTimers = hasTimers;
    this.#limits = limits;
    this.#scheduler = scheduler;
    this.#deliver = deliver;
  }

  /** How many messages wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /**
   * Keeps a message for its time; gives its offset in the queue of those that wait as it does, `"now"` if it need not
   * wait, `"full"` if there is no room for it, `"illegal"` if its time makes no sense.
   *
   * @throws {ValidationError} if its properties cannot be stored
   */
  take(message: NewMessage): number | "now" | "full" | "illegal" {
    const plan = this.#planLevel(message) ?? this.#planTimer(message);
    if (typeof plan === "string") return plan;
    if (this.length >= this.#limits.maxMessages || this.#bytes >= this.#limits.maxBytes) return "full";
    const { due, queue } = plan;
    const properties = plan.properties
      .set(PropertyName.REAL_TOPIC, message.topic)
      .set(PropertyName.REAL_QUEUE_ID, String(message.queueId));
    encodeProperties(properties); // fails here and not when its time has come
    this.#waiting.push({ due, sequence: this.#sequence++, message: { ...message, properties } });
    this.#bytes += message.body.length + OVERHEAD;
    this.#scheduler.schedule(due);
    const offset = this.#counts.get(queue) ?? 0;
    this.#counts.set(queue, offset + 1);
    return offset;
  }

  /** When the next message is due. */
  nextDue(): number {
    return this.#waiting.peek()?.due ?? Infinity;
  }

  /** Delivers what is due. */
  run(now: number): void {
    while (this.nextDue() <= now) {
      const { message } = this.#waiting.pop()!;
      this.#bytes -= message.body.length + OVERHEAD;
      this.#deliver(message);
    }
  }

  /** The plan of a message with a delay level, at most the highest; a timer does not count then. */
  #planLevel(message: NewMessage): Plan | undefined {
    const wanted = Number(message.properties.get(PropertyName.DELAY) ?? 0);
    if (!Number.isInteger(wanted) || wanted <= 0) return undefined;
    const level = Math.min(wanted, this.#levels.length);
    const properties = new Map(message.properties).set(PropertyName.DELAY, String(level));
    if (this.#hasTimers) {
      for (const name of [TIMER_SECONDS, TIMER_MILLISECONDS, TIMER_TIME]) {
        properties.delete(name);
      }
    }
    return { due: Date.now() + this.#levels[level - 1]!, queue: `level ${level}`, properties };
  }

  /** The plan of a timer message. */
  #planTimer({ properties }: NewMessage): Plan | "now" | "illegal" {
    const now = Date.now();
    const seconds = properties.get(TIMER_SECONDS);
    const milliseconds = properties.get(TIMER_MILLISECONDS);
    const time = properties.get(TIMER_TIME);
    const isTimer = this.#hasTimers && !properties.has(TIMER_OUT) && (seconds ?? milliseconds ?? time) !== undefined;
    if (!isTimer) return "now";
    const due = seconds !== undefined
      ? now + Number(seconds) * 1_000
      : milliseconds !== undefined
      ? now + Number(milliseconds)
      : Number(time);
    if (!Number.isSafeInteger(due) || due - now > LONGEST_TIMER) return "illegal";
    if (due <= now) return "now";
    const out = (Math.ceil(due / TIMER_PRECISION) - 1) * TIMER_PRECISION;
    return { due: out, queue: "timer", properties: new Map(properties).set(TIMER_OUT, String(out)) };
  }
}
