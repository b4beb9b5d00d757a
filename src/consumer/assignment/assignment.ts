/**
 * The queues that are assigned, each in its epoch.
 *
 * @module
 */

import { atMost, delay, Semaphore, waitFor } from "../../waiting.ts";
import type { BrokerClient } from "../../brokers/broker_client.ts";
import { ConsumerStateError, MessagePullError, ResponseError, TimeoutError } from "../../errors.ts";
import type { EventHub } from "../../events.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import type { OffsetTable } from "../../offsets/offset_table.ts";
import { reasonOf } from "../../plain_text.ts";
import { ResponseCode, retryTopic } from "../../wire/codes.ts";
import { Jumps } from "./jumps.ts";
import { OffsetCommits } from "./offset_commits.ts";
import type { CheckedConsumerOptions } from "../options_check.ts";
import { OwnedQueue } from "../queue/owned_queue.ts";
import { Pauses } from "./pauses.ts";
import { type KeyOf, ProcessQueue } from "../queue/process_queue.ts";
import { PullLoop } from "../queue/pull_loop.ts";
import type { PullAnswer } from "../queue/puller.ts";
import { QueueFlow, type SharedFlow } from "../queue/queue_flow.ts";
import type { QueueLocks } from "./queue_locks.ts";
import type { Gain } from "./rebalancer.ts";
import { inBackground, unheard } from "../../owned_work.ts";
import { Resets } from "./resets.ts";

/** How long a queue's last owner may take for its final commit before we read its offset, in milliseconds. */
const HANDOVER_WAIT = 1_000;
/** How long settlements of a lost queue count, in milliseconds: less than the wait of the next owner. */
const HANDOVER_GRACE = 500;
/**
 * How many queues of a broker look for their beginning at a time: thousands at once would take memory that they never
 * need again, and the broker's time from everybody else.
 */
const STARTS_AT_A_TIME = 64;
/** After a lock that another member has, in milliseconds. Source: RebalanceImpl, 5.x. */
const LOCK_INTERVAL = 500;
/** After an offset could not be read or stored, in milliseconds. */
const RETRY_INTERVAL = 1_000;

/** What an {@linkcode Assignment} works with. */
export interface AssignmentContext<T = unknown>
  extends Omit<SharedFlow<T>, "interval" | "onMoved" | "onError" | "onStandstill"> {
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
  /** Locks queues before they are ours; undefined where nobody does. */
  readonly locks?: Pick<QueueLocks, "acquire" | "release"> | undefined;
  /** What messages are ordered by; undefined where they are not. */
  readonly keyOf?: KeyOf<T> | undefined;
  /** Emits events. */
  readonly events: EventHub;
  /** Called with queues that may deliver again. */
  readonly offer: (owned: OwnedQueue<T>) => void;
}

/** How long {@linkcode Assignment.seek} may take. */
export interface SeekLimits {
  /** Milliseconds for all of it. @default {no limit} */
  readonly timeout?: number | undefined;
  /** Ends the wait when it aborts, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The queues of one consumer: adding them, setting their position, and letting them go. */
export class Assignment<T = unknown> {
  #context: AssignmentContext<T>;
  #pulls: SharedFlow<T>;
  #owned = new Map<string, OwnedQueue<T>>();
  /** Epochs of queues that are revoked, until their last commit. */
  #revoking = new Map<string, { readonly owned: OwnedQueue<T>; readonly gone: Promise<void> }>();
  #pauses = new Pauses();
  /** By broker. */
  #gates = new Map<string, Semaphore>();
  #jumps: Jumps<T>;
  #commits: OffsetCommits<T>;
  #resets: Resets<T>;

  /** Makes an assignment without queues. */
  constructor(context: AssignmentContext<T>) {
    this.#context = context;
    const onError = (owned: OwnedQueue<T>, error: unknown) => this.#pullFailed(owned, error);
    this.#resets = new Resets<T>({
      group: context.options.group,
      events: context.events,
      owned: (queue) => this.#owned.get(queueKey(queue)),
      seek: (queue, offset, reason) => this.seek(queue, offset, reason),
    });
    this.#jumps = new Jumps<T>({
      group: context.options.group,
      events: context.events,
      brokers: context.brokers,
      seek: (queue, offset, reason) => this.seek(queue, offset, reason),
      onError,
    });
    this.#pulls = {
      ...context,
      interval: context.options.pullInterval,
      onMoved: (owned, answer, times) => this.#jumps.moved(owned, answer, times),
      onError,
      onStandstill: (owned, answer) => this.#standsStill(owned, answer),
    };
    const { offsets, events, options: { group } } = context;
    this.#commits = new OffsetCommits<T>({ offsets, events, group });
  }

  /** The queues that are assigned, in their epochs. */
  get owned(): readonly OwnedQueue<T>[] {
    return [...this.#owned.values()];
  }

  /** Resolves when nothing is in flight, of our queues and of those that we are letting go. */
  async whenIdle(): Promise<void> {
    const all = [...this.owned, ...[...this.#revoking.values()].map(({ owned }) => owned)];
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
    for (const gain of gained) this.#addInBackground(gain);
    this.#context.limits.share(this.#owned.size);
    const { group } = this.#context.options;
    const text = `group "${group}": ${gained.length} queues gained, ${lost.length} lost, ${this.#owned.size} owned`;
    this.#context.events.emit("info", "rebalanced", text, { group });
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
      const wasPaused = owned.paused;
      owned.paused = this.#pauses.includes(owned.queue);
      if (owned.paused || !wasPaused || owned.state !== "open") continue;
      owned.loop.wake();
      this.#context.offer(owned);
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
    const leaving = this.#revoking.get(queueKey(queue));
    leaving?.owned.end(reason);
    before.end(reason);
    const owned = this.#begin(queue);
    // The commit of the epoch before comes first, and it gives up the lock.
    const locked = (leaving?.gone ?? Promise.resolve()).then(() => this.#lock(owned));
    const late = () => new TimeoutError(`set the position of ${queueKey(queue)}, which is not locked for us`, timeout);
    try {
      const isReady = await waitFor(locked, { ...(timeout < Infinity ? { ms: timeout } : {}), late, signal });
      if (!isReady) { // another call has set it since, or it is not assigned any more
        this.get(queue);
        return;
      }
    } catch (error) {
      inBackground(this.#start(owned), this.#onStartFailed(queue));
      throw error;
    }
    this.#context.offsets.reset(queue, offset);
    try {
      await this.#context.offsets.persist([queue]);
    } finally {
      // Not stored yet, it is written with the next commit: the caller is told, and the queue must not stand still.
      const opened = this.#lock(owned).then((isReady) => isReady && this.#open(owned, offset));
      if (owned.holdsLock) await opened;
      else inBackground(opened, this.#onStartFailed(queue));
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
    this.#revoking.get(key)?.owned.end(reason);
    const owned = this.#owned.get(key);
    if (owned === undefined) return;
    const { events, options: { group } } = this.#context;
    const text = `the lock of ${key} is lost: ${reason}; what is in flight is redelivered where the queue is then`;
    events.emit("warning", "lockLost", text, { group, queue, broker: queue.broker });
    if (owned.state === "starting") return; // before it opens, it is locked again
    const wasOpen = owned.state === "open";
    owned.end(reason);
    if (wasOpen) this.#addInBackground({ queue, shared: false });
  }

  /** Lets all queues go at once, whatever is in flight. */
  async end(reason: string): Promise<void> {
    const committed = this.commit();
    inBackground(committed, unheard); // it is looked at later, and may fail before
    const owned = this.owned;
    for (const { owned } of this.#revoking.values()) owned.end(reason);
    for (const each of owned) each.end(reason);
    this.#owned.clear();
    await Promise.all([...this.#revoking.values()].map(({ gone }) => gone));
    try {
      await committed;
    } finally {
      await Promise.all(owned.map(({ queue }) => this.#context.locks?.release(queue)));
    }
  }

  #begin(queue: MessageQueue): OwnedQueue<T> {
    const isRetry = queue.topic === retryTopic(this.#context.options.group);
    const owned = new OwnedQueue<T>(queue, isRetry, this.#context.autoCommit ? this.#progressed : undefined);
    owned.paused = this.#pauses.includes(queue);
    this.#owned.set(queueKey(queue), owned);
    return owned;
  }

  #progressed = (owned: OwnedQueue<T>): void => this.#commits.moved(owned);

  #addInBackground(gain: Gain): void {
    inBackground(this.#add(gain), this.#onStartFailed(gain.queue));
  }

  #onStartFailed(queue: MessageQueue): (error: unknown) => void {
    const { events, options: { group } } = this.#context;
    return events.failureOf("stalled", `the start of ${queueKey(queue)}`, { group, queue, broker: queue.broker });
  }

  async #add({ queue, shared }: Gain): Promise<void> {
    const owned = this.#begin(queue);
    // It may be on its way out still, from when it was ours before.
    await this.#revoking.get(queueKey(queue))?.gone;
    // Where queues are locked, the last owner has committed before it has given up the lock.
    const waits = shared && this.#context.locks === undefined;
    if (waits) await delay(HANDOVER_WAIT, { signal: owned.ended }).catch(() => {});
    await this.#start(owned);
  }

  /** Opens an epoch where the queue begins, as soon as that is known. */
  async #start(owned: OwnedQueue<T>): Promise<void> {
    const { queue, ended: signal } = owned;
    while (await this.#lock(owned)) {
      try {
        const offset = await this.#gateOf(queue.broker).pass(() => this.#startOffset(owned));
        if (owned.holdsLock) this.#open(owned, offset); // else another member may have gone on since
      } catch (error) {
        if (signal.aborted) return;
        const { group } = this.#context.options;
        const text = `cannot find where ${queueKey(queue)} begins, trying again in ${RETRY_INTERVAL} ms: ` +
          reasonOf(error);
        this.#context.events.emit("warning", "stalled", text, { group, queue, broker: queue.broker, error });
        await delay(RETRY_INTERVAL, { signal }).catch(() => {});
      }
    }
  }

  /** Waits until a queue is locked for us, if it has to be; false if its epoch has opened or ended. */
  async #lock(owned: OwnedQueue<T>): Promise<boolean> {
    const { locks } = this.#context;
    while (locks !== undefined && owned.state === "starting" && !owned.lock?.isHeld) {
      owned.lock = await locks.acquire(owned.queue);
      if (owned.ended.aborted) await this.#giveBack(owned);
      else if (owned.lock === undefined) await delay(LOCK_INTERVAL, { signal: owned.ended }).catch(() => {});
    }
    return owned.state === "starting";
  }

  /** A lock that came too late is of use only if the queue is ours again. */
  async #giveBack({ queue, lock }: OwnedQueue<T>): Promise<void> {
    const isOurs = this.#owned.has(queueKey(queue)) || this.#revoking.has(queueKey(queue));
    if (lock !== undefined && !isOurs) await this.#context.locks?.release(queue);
  }

  #gateOf(broker: string): Semaphore {
    let gate = this.#gates.get(broker);
    if (gate === undefined) this.#gates.set(broker, gate = new Semaphore(STARTS_AT_A_TIME));
    return gate;
  }

  /** A stored offset wins. A computed one is stored before the first batch, or a crash would lead to another. */
  async #startOffset(owned: OwnedQueue<T>): Promise<number> {
    const { offsets } = this.#context;
    const { queue, isRetry } = owned;
    owned.ended.throwIfAborted();
    const stored = await offsets.read(queue, "store");
    const unsaved = this.#commits.unsaved(queue) ?? -1;
    if (stored !== undefined && stored >= unsaved) return stored;
    // A killed broker may have forgotten what we committed before: our own memory is then the better one.
    const offset = unsaved >= 0
      ? unsaved
      : await offsets.read(queue, "memory") ?? await this.#context.startOffset(queue, isRetry);
    if (owned.state !== "starting" || !owned.holdsLock) return offset;
    offsets.reset(queue, offset);
    await offsets.persist([queue]);
    return offset;
  }

  #open(owned: OwnedQueue<T>, offset: number): void {
    if (owned.state !== "starting") return;
    const process = new ProcessQueue<T>(offset, this.#context.keyOf);
    const account = this.#context.limits.budget.open(() => loop.wake());
    const loop = new PullLoop<T>(new QueueFlow(this.#pulls, owned, process, account));
    this.#context.offsets.reset(owned.queue, offset);
    owned.open(process, loop, account);
    loop.start();
  }

  /** Lets one queue go: nothing more is delivered, what is in flight may settle for a while, then it is committed. */
  async #revoke(queue: MessageQueue, reason: string): Promise<void> {
    const key = queueKey(queue);
    const owned = this.#owned.get(key);
    if (owned === undefined) return;
    const hasOpened = owned.state === "open" || owned.state === "closing";
    this.#close(owned);
    this.#owned.delete(key);
    this.#jumps.forget(queue);
    if (!hasOpened) {
      // An epoch that is still on its way out needs the lock, and gives it up itself.
      if (!this.#revoking.has(key)) await this.#context.locks?.release(queue);
      return;
    }
    const gone = this.#commitLast(owned, reason);
    this.#revoking.set(key, { owned, gone });
    await gone.finally(() => this.#revoking.delete(key));
  }

  #close(owned: OwnedQueue<T>): void {
    owned.close();
    if (owned.state === "closing") this.#context.offer(owned);
  }

  async #commitLast(owned: OwnedQueue<T>, reason: string): Promise<void> {
    const { offsets, locks, events, options: { group, consumeTimeout, lockTimeout } } = this.#context;
    const { queue } = owned;
    await atMost(owned.whenIdle(), locks === undefined ? HANDOVER_GRACE : consumeTimeout);
    if (locks !== undefined) await atMost(owned.whenWhole(), lockTimeout); // perhaps no loop asks any more
    const { committable: offset } = owned.process;
    owned.end(reason);
    try {
      if (owned.holdsLock) {
        offsets.update(queue, offset);
        await offsets.persist([queue]);
      }
      offsets.forget(queue);
    } catch (error) {
      this.#commits.keep(queue, offset);
      const text = `the last commit of ${queueKey(queue)} failed: messages since the one before may be redelivered`;
      events.emit("warning", "commitFailed", text, { group, queue, broker: queue.broker, offset, error });
    } finally {
      await locks?.release(queue);
    }
  }

  #standsStill({ queue, process }: OwnedQueue<T>, { messages, nextOffset }: PullAnswer<T>): void {
    const { events, options: { group } } = this.#context;
    const text = `broker "${queue.broker}" answers pulls of ${queueKey(queue)} from ${process.position} with ` +
      `${messages.length} messages and leads to ${nextOffset}: asking again more slowly until it moves on`;
    events.emit("warning", "stalled", text, { group, queue, broker: queue.broker, offset: process.position });
  }

  #pullFailed({ queue }: OwnedQueue<T>, cause: unknown): void {
    const { events, options: { group } } = this.#context;
    const error = new MessagePullError(queue, cause);
    const about = { group, queue, broker: queue.broker, error };
    events.emit("warning", isThrottling(cause) ? "throttled" : "stalled", `${error.message}, going on trying`, about);
  }
}

/** Whether the broker asks for less, instead of failing. */
function isThrottling(error: unknown): boolean {
  const codes: readonly number[] = [ResponseCode.FLOW_CONTROL, ResponseCode.SYSTEM_BUSY];
  return error instanceof ResponseError && codes.includes(error.responseCode);
}
