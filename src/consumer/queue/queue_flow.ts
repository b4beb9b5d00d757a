/**
 * How much one queue pulls, and what becomes of the answers.
 *
 * @module
 */

import { NetworkError } from "../../errors.ts";
import type { BudgetAccount } from "./buffer_budget.ts";
import type { BrokenRecord } from "../../wire/record.ts";
import type { FlowLimits } from "./flow_limits.ts";
import type { OwnedQueue } from "./owned_queue.ts";
import type { ProcessQueue } from "./process_queue.ts";
import type { PullLoopContext } from "./pull_loop.ts";
import { IDLE_DELAY } from "./pull_pace.ts";
import { PullSize } from "./pull_size.ts";
import type { PullAnswer, Puller } from "./puller.ts";
import type { Selector } from "../subscriptions/selector.ts";

/** Where the messages of queues go. */
export interface QueueSink<T = unknown> {
  /** A queue may deliver again. */
  offer(owned: OwnedQueue<T>): void;
  /** Messages of a queue were received, at a time by the monotonic clock. */
  arrived(owned: OwnedQueue<T>, receivedAt: number): void;
}

/** Takes the records that cannot be read. */
export interface BrokenRecords<T = unknown> {
  /** Called with a record before the messages of its answer are in the process queue. */
  add(owned: OwnedQueue<T>, record: BrokenRecord): void;
}

/** What is done about answers that bring no messages as they should. */
export interface PullFaults<T = unknown> {
  /** The broker does not have the position, for so many times in a row: as {@linkcode PullLoopContext.onMoved}. */
  moved(owned: OwnedQueue<T>, answer: PullAnswer<T>, times: number): number | undefined;
  /** Called with the first error after an answer. */
  failed(owned: OwnedQueue<T>, error: unknown): void;
  /** Called with an answer that leaves the position where it was. */
  standstill(owned: OwnedQueue<T>, answer: PullAnswer<T>): void;
}

/** What the flow of all queues of a consumer has in common. */
export interface SharedFlow<T = unknown> {
  /** Pulls. */
  readonly puller: Puller<T>;
  /** How much a queue may hold. */
  readonly limits: FlowLimits;
  /** Milliseconds between two pulls of a queue. */
  readonly interval: number;
  /** What is subscribed; a topic without a selector is not any more. */
  readonly subscriptions: { selector(topic: string): Selector | undefined };
  /** Where messages go. */
  readonly sink: QueueSink<T>;
  /** Where records go that cannot be read. */
  readonly broken: BrokenRecords<T>;
  /** What is done about other answers. */
  readonly faults: PullFaults<T>;
}

/** After one message that is larger than a frame may be, in milliseconds: it stays so until somebody does something. */
const TOO_LARGE_DELAY = 5_000;

/** Where brokers may hold no pull, there is so much time for each queue between two looks at one, in milliseconds. */
const TURN = 1;

/** What the pull loop of one queue works with. A class, because thousands of queues share its methods. */
export class QueueFlow<T = unknown> implements PullLoopContext<T> {
  readonly process: ProcessQueue<T>;
  /** For how many messages there is room that no pull has been made for, or that was taken for the last one. */
  asked = 0;
  #shared: SharedFlow<T>;
  #owned: OwnedQueue<T>;
  #account: BudgetAccount;
  #timesMoved = 0;
  #size: PullSize;
  #isTooLarge = false;
  /** Whether the last answer led to the end of the queue. */
  #isAtEnd = false;

  constructor(shared: SharedFlow<T>, owned: OwnedQueue<T>, process: ProcessQueue<T>, account: BudgetAccount) {
    this.process = process;
    this.#shared = shared;
    this.#owned = owned;
    this.#account = account;
    this.#size = new PullSize(shared.puller.batchSize);
  }

  get timeout(): number {
    return this.#shared.puller.timeout;
  }

  get interval(): number {
    const { interval, limits: { budget } } = this.#shared;
    return this.#isAtEnd && budget.own === 0 ? Math.max(interval, IDLE_DELAY, budget.askers * TURN) : interval;
  }

  pull(offset: number, brokerId: number, now: number): Promise<PullAnswer<T>> {
    const { queue, ended } = this.#owned;
    const { puller } = this.#shared;
    return puller.pull(queue, this.#selector()!, offset, brokerId, ended, now, this.asked, this.#mayBeHeld());
  }

  /** A topic that is not subscribed any more stands still until its queues are revoked. */
  mayPull(hasLeft: boolean): boolean {
    const { process } = this;
    this.#account.hold(process.count, process.bytes);
    if (this.#owned.isPaused || !this.#shared.limits.allow(process) || this.#selector() === undefined) return false;
    return hasLeft || this.#ask();
  }

  mayPrefetch(): boolean {
    return this.#shared.interval === 0 && this.#shared.limits.allowAhead(this.process) && this.#ask();
  }

  answered(asked: number, answer?: PullAnswer<T>): void {
    if (answer !== undefined) this.#isAtEnd = answer.nextOffset >= answer.maxOffset;
    this.#account.answered(asked);
  }

  /**
   * What a broker holds takes room from others for as long: where there is little, a pull is held only at the end of
   * its queue, and asks for no more than is kept for it.
   */
  #mayBeHeld(): boolean {
    const { budget } = this.#shared.limits;
    return !budget.isScarce || (this.#isAtEnd && budget.own > 0);
  }

  /** Takes room for a pull; the loop is woken in its turn if there is none. */
  #ask(): boolean {
    const { budget } = this.#shared.limits;
    const { count } = this.#size;
    const want = budget.isScarce && this.#isAtEnd ? Math.min(count, budget.own || 1) : count;
    this.asked = this.#account.ask(want, this.#isAtEnd);
    return this.asked > 0;
  }

  onMessages(newestStoredAt: number, receivedAt: number): void {
    this.#account.hold(this.process.count, this.process.bytes);
    this.#owned.received(newestStoredAt);
    this.#timesMoved = 0;
    this.#isTooLarge = false;
    this.#size.arrived();
    this.#shared.sink.arrived(this.#owned, receivedAt);
  }

  onBroken(broken: readonly BrokenRecord[]): void {
    for (const record of broken) this.#shared.broken.add(this.#owned, record);
  }

  onMoved(answer: PullAnswer<T>): number | undefined {
    return this.#shared.faults.moved(this.#owned, answer, ++this.#timesMoved);
  }

  /** An answer that is larger than a frame may be is asked for in smaller parts. */
  onError(error: unknown, isFirst: boolean): number | undefined {
    const isTooLarge = error instanceof NetworkError && error.code === "ANSWER_TOO_LARGE";
    if (isTooLarge && this.#size.halve()) return 0;
    if (isFirst || (isTooLarge && !this.#isTooLarge)) this.#shared.faults.failed(this.#owned, error);
    this.#isTooLarge ||= isTooLarge;
    return isTooLarge ? TOO_LARGE_DELAY : undefined;
  }

  onStandstill(answer: PullAnswer<T>): void {
    this.#shared.faults.standstill(this.#owned, answer);
  }

  #selector(): Selector | undefined {
    return this.#shared.subscriptions.selector(this.#owned.queue.topic);
  }
}
