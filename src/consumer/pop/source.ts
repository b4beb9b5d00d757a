/**
 * The pops of one topic at one broker, and what they have brought.
 *
 * @module
 */

import type { PopPlace } from "../../brokers/pop_client.ts";
import { delay } from "../../waiting.ts";
import type { DeliverableQueue } from "../delivery/dispatcher.ts";
import type { BudgetAccount, BufferBudget } from "../queue/buffer_budget.ts";
import { delayAfter, IDLE_DELAY } from "../queue/pull_pace.ts";
import type { Delivery } from "./delivery.ts";
import { PopPace } from "./pace.ts";
import type { Received } from "./receiver.ts";
import { inBackground } from "../../owned_work.ts";
import { reasonOf } from "../../plain_text.ts";

/** Where brokers may hold no pop, there is so much time for each source between two looks of one, in milliseconds. */
const TURN = 1;
/** After a broker at which too many requests wait, in milliseconds. Source: DefaultMQPushConsumerImpl. */
const FULL_DELAY = 1_000;

/** What a {@linkcode PopSource} works with. */
export interface PopSourceContext<T = unknown> {
  /**
   * Makes one pop of at most `max` messages, which the broker holds only if it may; the signal aborts when they are not
   * wanted any more.
   */
  readonly pop: (max: number, mayBeHeld: boolean, signal: AbortSignal) => Promise<Received<T>>;
  /** Whether loops ask, and nothing is paused. */
  readonly mayPop: () => boolean;
  /** Where room for messages is taken. */
  readonly budget: BufferBudget;
  /** The most messages of one answer: with fewer at hand the next pop leaves. */
  readonly ahead: number;
  /** How long nobody else gets what is popped, in milliseconds. */
  readonly invisibleTime: number;
  /** Gets messages that no loop is going to ask for. */
  readonly giveBack: (deliveries: readonly Delivery<T>[]) => void;
  /** Called with messages that have come. */
  readonly onMessages: (source: PopSource<T>, receivedAt: number) => void;
  /** Reports what goes wrong. */
  readonly reports: PopSourceReports;
}

/** Reports of one source. */
export interface PopSourceReports {
  /** A pop has failed, after one that was answered. */
  failed(error: unknown): void;
  /** Answers bring nothing although they come at once: what the last one was, and how many there were in a row. */
  stalled(kind: Received<unknown>["kind"], count: number): void;
  /** The broker answers as it should, after an error or a stall. */
  recovered(): void;
  /** The invisible time of messages was over before a loop has requested them. */
  expired(count: number): void;
}

/** Messages of one answer: their invisible time ends together. */
interface Popped<T> {
  readonly deliveries: Delivery<T>[];
  readonly deadline: number;
}

/** Pops one answer ahead of need: what lies here too long is redelivered elsewhere. */
export class PopSource<T = unknown> implements DeliverableQueue {
  /** Where it pops. */
  readonly place: PopPlace;
  listed = false;
  #context: PopSourceContext<T>;
  #ready: Popped<T>[] = [];
  #count = 0;
  /** Messages that are delivered and not settled. */
  #inFlight = 0;
  #account: BudgetAccount;
  /** Whether the last answer brought nothing. */
  #isAtEnd = false;
  #state: "stopped" | "popping" | "blocked" | "waiting" = "blocked";
  /** Whether an error or a stall has been reported. */
  #isTroubled = false;
  #failure: unknown;
  #pace = new PopPace();
  #stop = new AbortController();
  #lastPop = 0;

  /** Makes a source that stands still until it is woken. */
  constructor(place: PopPlace, context: PopSourceContext<T>) {
    this.place = place;
    this.#context = context;
    this.#account = context.budget.open(() => this.wake());
  }

  /** Messages at hand that no loop has asked for. */
  get count(): number {
    return this.#count;
  }

  /** When the last pop left, in milliseconds since 1970; 0 if none has. */
  get lastPop(): number {
    return this.#lastPop;
  }

  /** Whether it waits for room. */
  get isBlocked(): boolean {
    return this.#state === "blocked";
  }

  /** Why no pop succeeds now; undefined if the last one did. */
  get trouble(): string | undefined {
    return this.#failure === undefined ? undefined : reasonOf(this.#failure);
  }

  get canDeliver(): boolean {
    return this.#count > 0 && this.#state !== "stopped";
  }

  /** There may be room again. */
  wake(): void {
    if (this.#state === "blocked") this.#step();
  }

  /** Stops for good, and gives back what no loop has asked for. */
  stop(): void {
    if (this.#state === "stopped") return;
    this.#dropExpired();
    this.#state = "stopped";
    this.#stop.abort();
    this.#count = 0;
    this.#hold();
    this.#account.close();
    this.#context.giveBack(this.#ready.splice(0).flatMap(({ deliveries }) => deliveries));
  }

  /** Takes messages of one answer, at most `max`, and the time at which they are void. */
  take(max: number): { deliveries: readonly Delivery<T>[]; deadline: number } | undefined {
    this.#dropExpired();
    const first = this.#ready[0];
    const deliveries = first?.deliveries.splice(0, max) ?? [];
    this.#count -= deliveries.length;
    this.#inFlight += deliveries.length;
    if (first?.deliveries.length === 0) this.#ready.shift();
    this.wake(); // also if there was nothing but what has expired
    return first === undefined ? undefined : { deliveries, deadline: first.deadline };
  }

  /** Messages that it has given out are settled. */
  settled(count: number): void {
    this.#inFlight -= count;
    this.#hold();
    this.wake();
  }

  #hold(): void {
    this.#account.hold(this.#count + this.#inFlight, 0);
  }

  #dropExpired(): void {
    const now = performance.now();
    let expired = 0;
    while (this.#ready[0] !== undefined && this.#ready[0].deadline <= now) {
      expired += this.#ready.shift()!.deliveries.length;
    }
    if (expired === 0) return;
    this.#count -= expired;
    this.#hold();
    this.#context.reports.expired(expired);
  }

  #step(): void {
    if (this.#state === "stopped") return;
    const asked = this.#count < this.#context.ahead && this.#context.mayPop() ? this.#ask() : 0;
    if (asked === 0) {
      this.#state = "blocked";
      return;
    }
    this.#state = "popping";
    this.#lastPop = Date.now();
    const started = performance.now();
    const answered = this.#context.pop(asked, this.#mayBeHeld(), this.#stop.signal).then(
      (answer) => {
        this.#account.answered(asked);
        this.#take(answer, started);
      },
      (error) => {
        this.#account.answered(asked);
        this.#fail(error, started);
      },
    );
    inBackground(answered, (error) => this.#fail(error, started));
  }

  /** Takes room for a pop; the source is woken in its turn if there is none. */
  #ask(): number {
    const { budget, ahead } = this.#context;
    return this.#account.ask(budget.isScarce && this.#isAtEnd ? Math.min(ahead, budget.own || 1) : ahead);
  }

  /** What a broker holds takes room from others for as long: where there is little, no more than is kept for it. */
  #mayBeHeld(): boolean {
    const { budget } = this.#context;
    return !budget.isScarce || (this.#isAtEnd && budget.own > 0);
  }

  #take({ kind, deliveries, progress, receivedAt }: Received<T>, started: number): void {
    if (this.#state === "stopped") return this.#context.giveBack(deliveries);
    this.#failure = undefined;
    const wasHeld = this.#mayBeHeld();
    this.#isAtEnd = !progress;
    if (deliveries.length > 0) {
      this.#ready.push({ deliveries: [...deliveries], deadline: receivedAt + this.#context.invisibleTime });
      this.#count += deliveries.length;
      this.#hold();
    }
    if (progress || wasHeld) this.#stepIn(this.#pauseAfter(kind, progress, receivedAt - started));
    else this.#stepIn(this.#mayBeHeld() ? 0 : Math.max(IDLE_DELAY, this.#context.budget.askers * TURN));
    if (deliveries.length > 0) this.#context.onMessages(this, receivedAt);
  }

  /** How long to wait after an answer that took `ms` milliseconds. */
  #pauseAfter(kind: Received<T>["kind"], progress: boolean, ms: number): number {
    if (progress) this.#pace.progress();
    const pause = progress ? 0 : this.#pace.pauseAfter(ms);
    if (this.#isTroubled !== this.#pace.isStalled) {
      this.#isTroubled = this.#pace.isStalled;
      if (this.#isTroubled) this.#context.reports.stalled(kind, this.#pace.fruitless);
      else this.#context.reports.recovered();
    }
    return kind === "full" ? FULL_DELAY : pause;
  }

  #fail(error: unknown, started: number): void {
    if (this.#state === "stopped") return;
    if (!this.#isTroubled) this.#context.reports.failed(error);
    this.#isTroubled = true;
    this.#failure = error;
    this.#stepIn(Math.max(delayAfter(error), this.#pace.pauseAfter(performance.now() - started)));
  }

  #stepIn(ms: number): void {
    if (ms === 0) this.#step();
    else inBackground(this.#stepAfter(ms), (error) => this.#context.reports.failed(error));
  }

  async #stepAfter(ms: number): Promise<void> {
    this.#state = "waiting";
    await delay(ms, { signal: this.#stop.signal }).catch(() => {});
    this.#step();
  }
}
