/**
 * Which brokers are slow, busy or silent at the moment: the latency fault table.
 *
 * @module
 */

/** From which latency on a broker is avoided, and for how long, in milliseconds. Source: MQFaultStrategy, 5.x. */
const STEPS: readonly (readonly [latency: number, time: number])[] = [
  [15_000, 30_000],
  [5_000, 10_000],
  [3_000, 6_000],
  [1_800, 5_000],
  [550, 2_000],
];
/** A faster answer is a good one. */
const SLOW = STEPS.at(-1)![0];
/** What a failure counts as. Source: MQFaultStrategy, 5.x. */
const FAILURE = 10_000;
/** What a refusal for lack of room counts as: brokers recover from that sooner. */
const BUSY = SLOW;
/**
 * How long one request has a broker to itself whose time is over, in milliseconds: others follow when it is answered.
 */
const TRIAL = 1_000;

/**
 * The brokers that are to be avoided, shared by all producers of a client. While all are well it is empty, and costs
 * a look at its size.
 *
 * A broker's time is over with its first good answer, at the latest when it has passed: then the next request is the
 * trial, and all others follow when that one is answered.
 */
export class BrokerHealth {
  /** Until when, by the monotonic clock. */
  #avoided = new Map<string, number>();

  /** Whether no broker is to be avoided. */
  get isGood(): boolean {
    return this.#avoided.size === 0;
  }

  /** Whether others are to be preferred to a broker. */
  isAvoided(broker: string, now: number = performance.now()): boolean {
    return now < (this.#avoided.get(broker) ?? 0);
  }

  /** Notes that a request goes to a broker: it is a trial if the broker's time has just passed. */
  chosen(broker: string, now: number = performance.now()): void {
    const until = this.#avoided.get(broker);
    if (until !== undefined && until <= now) this.#avoided.set(broker, now + TRIAL);
  }

  /** Notes an answer that took so many milliseconds. */
  answered(broker: string, latency: number, now?: number): void {
    if (latency >= SLOW) this.#avoid(broker, latency, now);
    else if (this.#avoided.size > 0) this.#avoided.delete(broker);
  }

  /** Notes that a broker cannot be reached, does not answer, or fails. */
  failed(broker: string, now?: number): void {
    this.#avoid(broker, FAILURE, now);
  }

  /** Notes that a broker has no room for more. */
  busy(broker: string, now?: number): void {
    this.#avoid(broker, BUSY, now);
  }

  #avoid(broker: string, latency: number, now: number = performance.now()): void {
    const [, time] = STEPS.find(([least]) => latency >= least)!;
    this.#avoided.set(broker, now + time);
  }
}
