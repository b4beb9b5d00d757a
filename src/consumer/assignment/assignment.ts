/**
 * The queues that are assigned, each in its epoch.
 *
 * @module
 */

import type { BrokerClient } from "../../brokers/broker_client.ts";
import { ConsumerStateError, TimeoutError } from "../../errors.ts";
import type { EventHub } from "../../events.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import type { OffsetTable } from "../../offsets/offset_table.ts";
import { inBackground, unheard } from "../../owned_work.ts";
import { atMost, delay, waitFor } from "../../waiting.ts";
import { retryTopic } from "../../wire/names.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import { OwnedQueue } from "../queue/owned_queue.ts";
import type { KeyOf } from "../queue/key_order.ts";
import type { SharedFlow } from "../queue/queue_flow.ts";
import type { CommitReports } from "./commit_reports.ts";
import { Jumps } from "./jumps.ts";
import { OffsetCommits } from "./offset_commits.ts";
import { Pauses } from "./pauses.ts";
import { PullReports } from "./pull_reports.ts";
import type { QueueLocks } from "./queue_locks.ts";
import { QueueStart } from "./queue_start.ts";
import type { Gain } from "./rebalancer.ts";
import { Resets } from "./resets.ts";
import { Revocations } from "./revocations.ts";

/** How long a queue's last owner may take for its final commit before its offset is read, in milliseconds. */
const HANDOVER_WAIT = 1_000;

/** What an {@linkcode Assignment} works with. */
export interface AssignmentContext<T = unknown> extends Omit<SharedFlow<T>, "interval" | "faults"> {
  /** The consumer's options. */
  readonly options: CheckedConsumerOptions;
  /** Reads positions. */
  readonly brokers: BrokerClient;
  /** Keeps offsets. */
  readonly offsets: OffsetTable;
  /** Whether offsets are stored as they move, and not only by {@linkcode Assignment.commit}. */
  readonly autoCommit: boolean;
  /** Computes where a queue begins for which no offset is kept. */
  readonly startOffset: (queue: MessageQueue, isRetry: boolean) => Promise<number>;
  /** Locks queues before they are assigned; undefined where nobody does. */
  readonly locks?: Pick<QueueLocks, "acquire" | "release"> | undefined;
  /** What messages are ordered by; undefined where they are not. */
  readonly keyOf?: KeyOf<T> | undefined;
  /** Emits events. */
  readonly events: EventHub;
}

/** How long {@linkcode Assignment.seek} may take. */
export interface SeekLimits {
  /** Milliseconds for all of it. @default {no limit} */
  readonly timeout?: number | undefined;
  /** Ends the wait when it aborts, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The queues of one consumer: assigning them, setting their position, and revoking them. */
export class Assignment<T = unknown> {
  #context: AssignmentContext<T>;
  #owned = new Map<string, OwnedQueue<T>>();
  #pauses = new Pauses();
  #start: QueueStart<T>;
  #revocations: Revocations<T>;
  #jumps: Jumps<T>;
  #commits: OffsetCommits<T>;
  #resets: Resets<T>;

  /** Makes an assignment without queues. */
  constructor(context: AssignmentContext<T>) {
    this.#context = context;
    const { offsets, events, locks, options, brokers } = context;
    const { group } = options;
    const seek = (queue: MessageQueue, offset: number, reason: string) => this.seek(queue, offset, reason);
    const reports = new PullReports(events, group);
    this.#commits = new OffsetCommits<T>({ offsets, events, group });
    this.#revocations = new Revocations<T>({ options, events, offsets, locks, commits: this.#commits });
    this.#resets = new Resets<T>({ group, events, seek, owned: (queue) => this.#owned.get(queueKey(queue)) });
    this.#jumps = new Jumps<T>({ group, events, brokers, seek, reports });
    this.#start = new QueueStart<T>({
      ...context,
      group,
      commits: this.#commits,
      flow: {
        ...context,
        interval: options.pullInterval,
        faults: {
          moved: (owned, answer, times) => this.#jumps.moved(owned, answer, times),
          failed: (owned, error) => reports.failed(owned, error),
          standstill: (owned, answer) => reports.standstill(owned, answer),
        },
      },
      isHeld: (queue) => this.#owned.has(queueKey(queue)) || this.#revocations.has(queue),
    });
  }

  /** The queues that are assigned, in their epochs. */
  get owned(): readonly OwnedQueue<T>[] {
    return [...this.#owned.values()];
  }

  /** What becomes of commits that fail. */
  get commitReports(): CommitReports {
    return this.#commits.reports;
  }

  /** Resolves when nothing is in flight, of our queues and of those that we are letting go. */
  async whenIdle(): Promise<void> {
    const all = [...this.owned, ...this.#revocations.owned];
    do {
      await Promise.all(all.map((owned) => owned.whenIdle()));
      if (!all.some((owned) => owned.counts)) return; // nobody may wait any more, and no timer must be left
      await delay(0); // a loop that has settled its batch may ask for one more at once
    } while (all.some((owned) => owned.counts && owned.process.inFlightCount > 0));
  }

  /** The epoch of one of our queues. */
  get(queue: MessageQueue): OwnedQueue<T> {
    const owned = this.#owned.get(queueKey(queue));
    if (owned !== undefined) return owned;
    throw new ConsumerStateError(
      `Cannot use queue ${queueKey(queue)}: it is not assigned to this member; assignment() lists those that are`,
      { code: "QUEUE_NOT_ASSIGNED" },
    );
  }

  /**
   * Makes queues ours and lets others go; resolves when those that go are committed, but does not wait for long: a
   * locked queue stays ours until what is in flight of it is settled.
   */
  async change(gained: readonly Gain[], lost: readonly MessageQueue[], reason: string): Promise<void> {
    const going = lost.map((queue) => this.#revoke(queue, reason));
    for (const gain of gained) this.#assignInBackground(gain);
    this.#context.limits.share(this.#owned.size);
    const { group } = this.#context.options;
    const text = `group "${group}": ${gained.length} queues gained, ${lost.length} lost, ${this.#owned.size} owned`;
    this.#context.events.emit("info", "rebalanced", text, {
      group,
      gained: gained.map(({ queue }) => queue),
      lost,
    });
    const gone = Promise.all(going);
    await (this.#context.locks === undefined ? gone : atMost(gone, HANDOVER_WAIT));
  }

  /** Pauses or resumes some queues, wherever they are in between, or all and those to come. */
  pause(paused: boolean, queues?: readonly MessageQueue[]): void {
    for (const queue of queues ?? []) if (!this.#pauses.isException(queue)) this.get(queue);
    this.#pauses.set(paused, queues);
    this.#applyPauses();
  }

  /** Pauses everything until {@linkcode Assignment.endDrain}. */
  beginDrain(): void {
    this.#pauses.beginDrain();
    this.#applyPauses();
  }

  /** Ends a drain: a complete one leaves everything paused, another one nothing that was not paused before. */
  endDrain(isComplete: boolean): void {
    this.#pauses.endDrain(isComplete);
    this.#applyPauses();
  }

  #applyPauses(): void {
    for (const owned of this.#owned.values()) {
      if (owned.pause(this.#pauses.includes(owned.queue))) this.#context.sink.offer(owned);
    }
  }

  /**
   * Sets a queue's position: what it holds is dropped, what is in flight is void; resolves when it is stored.
   *
   * @throws {TimeoutError} if the queue could not be locked in time: it goes on at its stored offset then
   */
  async seek(queue: MessageQueue, offset: number, reason: string, limits: SeekLimits = {}): Promise<void> {
    const { timeout = Infinity, signal } = limits;
    const before = this.get(queue);
    this.#revocations.end(queue, reason);
    const revoked = this.#revocations.whenDone(queue);
    before.end(reason);
    const owned = this.#begin(queue);
    // The commit of the epoch before comes first, and it releases the lock.
    const locked = revoked.then(() => this.#start.lock(owned));
    const late = () => new TimeoutError(`set the position of ${queueKey(queue)}, which is not locked for us`, timeout);
    try {
      const isReady = await waitFor(locked, { ...(timeout < Infinity ? { ms: timeout } : {}), late, signal });
      if (!isReady) { // another call has set it since, or it is not assigned any more
        this.get(queue);
        return;
      }
    } catch (error) {
      inBackground(this.#start.start(owned), this.#start.failureOf(queue));
      throw error;
    }
    this.#context.offsets.reset(queue, offset);
    try {
      await this.#context.offsets.persist([queue]);
    } finally {
      // Not stored yet, it is written with the next commit: the caller receives the error, and the queue must not stand
      // still.
      const opened = this.#start.lock(owned).then((isReady) => isReady && this.#start.open(owned, offset));
      if (owned.holdsLock) await opened;
      else inBackground(opened, this.#start.failureOf(queue));
    }
  }

  /** Up to where the queues of a topic are settled. */
  positions(topic: string): [MessageQueue, number][] {
    const open = this.owned.filter((owned) => owned.counts && owned.queue.topic === topic);
    return open.map(({ queue, process }) => [queue, process.committable]);
  }

  /** Follows an operator who has set the position of a queue; nothing happens if it is not ours. */
  reset(queue: MessageQueue, offset: number): Promise<void> {
    return this.#resets.follow(queue, offset);
  }

  /** Pulls topics anew: what the pulls under way skip by an older selector is not skipped. */
  pullAnew(topics: readonly string[]): void {
    for (const owned of this.#owned.values()) {
      if (owned.state === "open" && topics.includes(owned.queue.topic)) owned.loop.start();
    }
  }

  /** Stores the committable offset of every queue, of one broker's or of all. */
  commit(broker?: string): Promise<void> {
    return this.#commits.commit(this.#ownedOf(broker));
  }

  /** Stores all offsets of a broker again, also those that have not changed since it was lost. */
  rewrite(broker: string): Promise<void> {
    return this.#commits.rewrite(broker, this.#ownedOf(broker));
  }

  #ownedOf(broker: string | undefined): readonly OwnedQueue<T>[] {
    return this.owned.filter(({ queue }) => broker === undefined || queue.broker === broker);
  }

  /** Stops all pulls for good; what is in flight may still be settled. */
  stop(): void {
    this.#commits.stop();
    for (const owned of this.#owned.values()) this.#close(owned);
  }

  /**
   * The right to a queue is not assigned any more: what is in flight is void, and the queue is locked and read anew.
   */
  lockLost(queue: MessageQueue, reason: string): void {
    const key = queueKey(queue);
    this.#revocations.end(queue, reason);
    const owned = this.#owned.get(key);
    if (owned === undefined) return;
    const { events, options: { group } } = this.#context;
    const text = `the lock of ${key} is lost: ${reason}; what is in flight is redelivered where the queue is then`;
    events.emit("warning", "lockLost", text, { group, queue, broker: queue.broker });
    if (owned.state === "starting") return; // before it opens, it is locked again
    const wasOpen = owned.state === "open";
    owned.end(reason);
    if (wasOpen) this.#assignInBackground({ queue, shared: false });
  }

  /** Lets all queues go at once, whatever is in flight. */
  async end(reason: string): Promise<void> {
    const committed = this.commit();
    inBackground(committed, unheard); // it is looked at later, and may fail before
    const owned = this.owned;
    const revoked = this.#revocations.endAll(reason);
    for (const each of owned) each.end(reason);
    this.#owned.clear();
    await revoked;
    try {
      await committed;
    } finally {
      await Promise.all(owned.map(({ queue }) => this.#context.locks?.release(queue)));
    }
  }

  #begin(queue: MessageQueue): OwnedQueue<T> {
    const isRetry = queue.topic === retryTopic(this.#context.options.group);
    const onProgress = this.#context.autoCommit ? this.#progressed : undefined;
    const owned = new OwnedQueue<T>(queue, isRetry, onProgress, this.#pauses.includes(queue));
    this.#owned.set(queueKey(queue), owned);
    return owned;
  }

  #progressed = (owned: OwnedQueue<T>): void => this.#commits.moved(owned);

  #assignInBackground(gain: Gain): void {
    inBackground(this.#assign(gain), this.#start.failureOf(gain.queue));
  }

  async #assign({ queue, shared }: Gain): Promise<void> {
    const owned = this.#begin(queue);
    // It may be on its way out still, from when it was assigned before.
    await this.#revocations.whenDone(queue);
    // Where queues are locked, the last owner has committed before it has released the lock.
    const waits = shared && this.#context.locks === undefined;
    if (waits) await delay(HANDOVER_WAIT, { signal: owned.ended }).catch(() => {});
    await this.#start.start(owned);
  }

  /** Revokes a queue: nothing more is delivered, what is in flight may settle for a while, then it is committed. */
  async #revoke(queue: MessageQueue, reason: string): Promise<void> {
    const key = queueKey(queue);
    const owned = this.#owned.get(key);
    if (owned === undefined) return;
    const hasOpened = owned.state === "open" || owned.state === "closing";
    this.#close(owned);
    this.#owned.delete(key);
    this.#jumps.forget(queue);
    if (hasOpened) await this.#revocations.begin(owned, reason);
    // An epoch that is still on its way out needs the lock, and releases it itself.
    else if (!this.#revocations.has(queue)) await this.#context.locks?.release(queue);
  }

  #close(owned: OwnedQueue<T>): void {
    owned.close();
    if (owned.state === "closing") this.#context.sink.offer(owned);
  }
}
