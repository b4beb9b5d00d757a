/**
 * Delayed messages. Sources: ScheduleMessageService, HookUtils.
 *
 * @module
 */

import { PropertyName } from "../wire/codes.ts";
import { encodeProperties } from "../wire/properties.ts";
import { Heap } from "./heap.ts";
import type { NewMessage, StoreLimits } from "./store.ts";
import type { Job, Scheduler } from "./scheduler.ts";

/** The estimated memory of a delayed message besides its body, in bytes. */
const OVERHEAD = 512;

/** The longest delay of a timer message, in milliseconds. Source: MessageStoreConfig.timerMaxDelaySec. */
const LONGEST_TIMER = 3 * 24 * 3_600_000;
/** Timer messages are delivered at the whole second before their time. Source: timerPrecisionMs. */
const TIMER_PRECISION = 1_000;

const TIMER_SECONDS = "TIMER_DELAY_SEC";
const TIMER_MILLISECONDS = "TIMER_DELAY_MS";
const TIMER_TIME = "TIMER_DELIVER_MS";
/** The property of a timer message that has been delayed: it is not delayed again. */
const TIMER_OUT = "TIMER_OUT_MS";

/** When a message is due, and the queue that determines its offset. */
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

/** The delayed messages of one broker, by delay level or timer. */
export class Delays implements Job {
  #levels: readonly number[];
  #hasTimers: boolean;
  #limits: StoreLimits;
  #deliver: (message: NewMessage) => void;
  #scheduler: Scheduler;
  #waiting = new Heap<Waiting>((a, b) => a.due < b.due || (a.due === b.due && a.sequence < b.sequence));
  #bytes = 0;
  /** How many messages each queue has had: the next offset. */
  #counts = new Map<string, number>();
  #sequence = 0;

  /**
   * Makes an empty table. `deliver` is called with each message when it is due. Without timers, as before 5.0, only
   * delay levels apply.
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

  /** The number of delayed messages. */
  get length(): number {
    return this.#waiting.length;
  }

  /**
   * Delays a message if its properties say so. Returns its offset in the queue of its level or of the timers, `"now"`
   * if it has no delay, `"full"` if there are too many delayed messages, `"illegal"` if its time is not allowed.
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
    encodeProperties(properties); // throws here and not when the message is due
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

  /** Delivers the messages that are due. */
  run(now: number): void {
    while (this.nextDue() <= now) {
      const { message } = this.#waiting.pop()!;
      this.#bytes -= message.body.length + OVERHEAD;
      this.#deliver(message);
    }
  }

  /** The plan of a message with a delay level, which is capped at the highest; a timer is ignored then. */
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
