/**
 * The start of an epoch: its lock, its position, its first pull.
 *
 * @module
 */

import type { EventHub } from "../../events.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import type { OffsetTable } from "../../offsets/offset_table.ts";
import { reasonOf } from "../../plain_text.ts";
import { delay, Semaphore } from "../../waiting.ts";
import type { FlowLimits } from "../queue/flow_limits.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";
import type { KeyOf } from "../queue/key_order.ts";
import { ProcessQueue } from "../queue/process_queue.ts";
import { PullLoop } from "../queue/pull_loop.ts";
import { QueueFlow, type SharedFlow } from "../queue/queue_flow.ts";
import type { OffsetCommits } from "./offset_commits.ts";
import type { QueueLocks } from "./queue_locks.ts";

/**
 * How many queues of a broker look for their position at a time: thousands at once would take memory that they never
 * need again, and the broker's time from everybody else.
 */
const STARTS_AT_A_TIME = 64;
/** After a lock that another member has, in milliseconds. Source: RebalanceImpl, 5.x. */
const LOCK_INTERVAL = 500;
/** After an offset could not be read or stored, in milliseconds. */
const RETRY_INTERVAL = 1_000;

/** What a {@linkcode QueueStart} works with. */
export interface QueueStartContext<T = unknown> {
  /** The group. */
  readonly group: string;
  /** Emits events. */
  readonly events: EventHub;
  /** Keeps offsets. */
  readonly offsets: OffsetTable;
  /** Offsets that could not be stored yet. */
  readonly commits: Pick<OffsetCommits<T>, "unsaved">;
  /** Locks queues; undefined where nobody does. */
  readonly locks?: Pick<QueueLocks, "acquire" | "release"> | undefined;
  /** Computes where a queue begins for which no offset is kept. */
  readonly startOffset: (queue: MessageQueue, isRetry: boolean) => Promise<number>;
  /** What messages are ordered by; undefined where they are not. */
  readonly keyOf?: KeyOf<T> | undefined;
  /** How much a queue may hold. */
  readonly limits: FlowLimits;
  /** What the pulls of all queues share. */
  readonly flow: SharedFlow<T>;
  /** Whether a queue is assigned to this member, or on its way out. */
  readonly isHeld: (queue: MessageQueue) => boolean;
}

/** Starts epochs. */
export class QueueStart<T = unknown> {
  #context: QueueStartContext<T>;
  /** By broker. */
  #semaphores = new Map<string, Semaphore>();

  /** Makes it without an epoch. */
  constructor(context: QueueStartContext<T>) {
    this.#context = context;
  }

  /** Opens an epoch where the queue begins, as soon as that is known. */
  async start(owned: OwnedQueue<T>): Promise<void> {
    const { queue, ended: signal } = owned;
    while (await this.lock(owned)) {
      try {
        const offset = await this.#semaphoreOf(queue.broker).pass(() => this.#startOffset(owned));
        if (owned.holdsLock) this.open(owned, offset); // else another member may have gone on since
      } catch (error) {
        if (signal.aborted) return;
        const { group, events } = this.#context;
        const text = `cannot find where ${queueKey(queue)} begins, trying again in ${RETRY_INTERVAL} ms: ` +
          reasonOf(error);
        events.emit("warning", "stalled", text, { group, queue, broker: queue.broker, error });
        await delay(RETRY_INTERVAL, { signal }).catch(() => {});
      }
    }
  }

  /** Waits until a queue is locked for this member, if it has to be; false if its epoch has opened or ended. */
  async lock(owned: OwnedQueue<T>): Promise<boolean> {
    const { locks } = this.#context;
    while (locks !== undefined && owned.state === "starting" && !owned.lock?.isHeld) {
      owned.locked(await locks.acquire(owned.queue));
      if (owned.ended.aborted) await this.#releaseLate(owned);
      else if (owned.lock === undefined) await delay(LOCK_INTERVAL, { signal: owned.ended }).catch(() => {});
    }
    return owned.state === "starting";
  }

  /** Opens an epoch at an offset. */
  open(owned: OwnedQueue<T>, offset: number): void {
    if (owned.state !== "starting") return;
    const { keyOf, limits, flow, offsets } = this.#context;
    const process = new ProcessQueue<T>(offset, keyOf);
    const account = limits.budget.open(() => loop.wake());
    const loop = new PullLoop<T>(new QueueFlow(flow, owned, process, account));
    offsets.reset(owned.queue, offset);
    owned.open({ process, loop, account });
    loop.start();
  }

  /** What failed outside of all tries becomes an event. */
  failureOf(queue: MessageQueue): (error: unknown) => void {
    const { events, group } = this.#context;
    return events.failureOf("stalled", `the start of ${queueKey(queue)}`, { group, queue, broker: queue.broker });
  }

  /** A lock that came too late is of use only if the queue is assigned again. */
  async #releaseLate({ queue, lock }: OwnedQueue<T>): Promise<void> {
    const { isHeld, locks } = this.#context;
    if (lock !== undefined && !isHeld(queue)) await locks?.release(queue);
  }

  #semaphoreOf(broker: string): Semaphore {
    let semaphore = this.#semaphores.get(broker);
    if (semaphore === undefined) this.#semaphores.set(broker, semaphore = new Semaphore(STARTS_AT_A_TIME));
    return semaphore;
  }

  /** A stored offset wins. A computed one is stored before the first batch, or a crash would lead to another. */
  async #startOffset(owned: OwnedQueue<T>): Promise<number> {
    const { offsets, commits, startOffset } = this.#context;
    const { queue, isRetry } = owned;
    owned.ended.throwIfAborted();
    const stored = await offsets.read(queue, "store");
    const unsaved = commits.unsaved(queue) ?? -1;
    if (stored !== undefined && stored >= unsaved) return stored;
    // A killed broker may have forgotten what was committed before: this member's memory is then the better one.
    const offset = unsaved >= 0 ? unsaved : await offsets.read(queue, "memory") ?? await startOffset(queue, isRetry);
    if (owned.state !== "starting" || !owned.holdsLock) return offset;
    offsets.reset(queue, offset);
    await offsets.persist([queue]);
    return offset;
  }
}
