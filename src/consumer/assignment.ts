/**
 * The queues that are ours, each in its epoch.
 *
 * @module
 */

import { atMost, delay, Gate } from "../waiting.ts";
import type { BrokerClient } from "../cluster/broker_client.ts";
import { ConsumerStateError, MessagePullError, ResponseError } from "../errors.ts";
import type { EventHub } from "../events.ts";
import { type MessageQueue, queueKey } from "../message.ts";
import type { OffsetStore } from "../offsets/store.ts";
import { ResponseCode, retryTopic } from "../wire/codes.ts";
import type { CheckedConsumerOptions } from "./options_check.ts";
import { OwnedQueue } from "./owned_queue.ts";
import { type KeyOf, ProcessQueue } from "./process_queue.ts";
import { PullLoop } from "./pull_loop.ts";
import type { PullAnswer } from "./puller.ts";
import { QueuePulls, type SharedPulls } from "./queue_pulls.ts";
import type { QueueLocks } from "./queue_locks.ts";
import type { Gain } from "./rebalancer.ts";
import type { StartOffsetContext } from "./start_offset.ts";

/** How long a queue's last owner may take for its final commit before we read its offset, in milliseconds. */
const HANDOVER_WAIT = 1_000;
/** How long settlements of a lost queue count, in milliseconds: less than the wait of the next owner. */
const HANDOVER_GRACE = 500;
/**
 * How many queues of a broker look for their beginning at a time: thousands at once would take memory that they never
 * need again, and the broker's time from everybody else.
 */
const BEGINNING = 64;
/** After a lock that another member has, in milliseconds. Source: RebalanceImpl, 5.x. */
const LOCK_INTERVAL = 500;
/** After an offset could not be read or stored, in milliseconds. */
const RETRY_INTERVAL = 1_000;
/** How often a position that the broker does not have is asked for again, where nothing tells a better one. */
const MOVED_PATIENCE = 3;
/** The broker's word for a position that an operator has set. Source: GetMessageStatus. */
const OFFSET_RESET = "OFFSET_RESET";

/** What an {@linkcode Assignment} works with. */
export interface AssignmentContext<T = unknown> extends Omit<SharedPulls<T>, "interval" | "onMoved" | "onError"> {
  /** The consumer's options. */
  readonly options: CheckedConsumerOptions;
  /** Reads positions. */
  readonly brokers: BrokerClient;
  /** Keeps offsets. */
  readonly offsets: OffsetStore;
  /** Computes where a queue begins for which no offset is kept. */
  readonly startOffset: (queue: MessageQueue, about: Omit<StartOffsetContext, "consumeFrom">) => Promise<number>;
  /** Locks queues before they are ours; undefined where nobody does. */
  readonly locks?: Pick<QueueLocks, "acquire" | "release"> | undefined;
  /** What messages are ordered by; undefined where they are not. */
  readonly keyOf?: KeyOf<T> | undefined;
  /** Hears what happens. */
  readonly events: EventHub;
  /** Hears of queues that may hand out again. */
  readonly offer: (owned: OwnedQueue<T>) => void;
}

/** The queues of one consumer: adding them, setting their position, and letting them go. */
export class Assignment<T = unknown> {
  #context: AssignmentContext<T>;
  #pulls: SharedPulls<T>;
  #owned = new Map<string, OwnedQueue<T>>();
  /** Epochs of queues that are let go, until their last commit. */
  #leaving = new Map<string, { readonly owned: OwnedQueue<T>; readonly gone: Promise<void> }>();
  #paused = false;
  /** By broker. */
  #gates = new Map<string, Gate>();

  /** Makes an assignment without queues. */
  constructor(context: AssignmentContext<T>) {
    this.#context = context;
    this.#pulls = {
      ...context,
      interval: context.options.pullInterval,
      onMoved: (owned, answer, times) => this.#moved(owned, answer, times),
      onError: (owned, error) => this.#pullFailed(owned, error),
    };
  }

  /** The queues that are ours, in their epochs. */
  get owned(): readonly OwnedQueue<T>[] {
    return [...this.#owned.values()];
  }

  /** Resolves when nothing is in hand, of our queues and of those that we are letting go. */
  async whenIdle(): Promise<void> {
    const all = [...this.owned, ...[...this.#leaving.values()].map(({ owned }) => owned)];
    do {
      await Promise.all(all.map((owned) => owned.whenIdle()));
      if (!all.some((owned) => owned.counts)) return; // nobody may wait any more, and no timer must be left
      await delay(0); // a loop that has settled its batch may ask for one more at once
    } while (all.some((owned) => owned.counts && owned.process.inHandCount > 0));
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
   * locked queue stays ours until what is in hand of it is settled.
   */
  async change(gained: readonly Gain[], lost: readonly MessageQueue[], reason: string): Promise<void> {
    const going = lost.map((queue) => this.#letGo(queue, reason));
    for (const gain of gained) this.#add(gain);
    this.#context.limits.share(this.#owned.size);
    const { group } = this.#context.options;
    const text = `group "${group}": ${gained.length} queues gained, ${lost.length} lost, ${this.#owned.size} owned`;
    this.#context.events.emit("info", "rebalanced", text, { group });
    const gone = Promise.all(going);
    await (this.#context.locks === undefined ? gone : atMost(gone, HANDOVER_WAIT));
  }

  /** Stops or goes on with some queues, or with all and those to come. */
  pause(paused: boolean, queues?: readonly MessageQueue[]): void {
    const affected = queues === undefined ? this.owned : queues.map((queue) => this.get(queue));
    if (queues === undefined) this.#paused = paused;
    for (const owned of affected) {
      owned.paused = paused;
      if (paused || owned.state !== "open") continue;
      owned.loop.wake();
      this.#context.offer(owned);
    }
  }

  /** Sets a queue's position: what it holds is dropped, what is in hand is void; resolves when it is stored. */
  async seek(queue: MessageQueue, offset: number, reason: string): Promise<void> {
    const before = this.get(queue);
    const leaving = this.#leaving.get(queueKey(queue));
    leaving?.owned.end(reason);
    before.end(reason);
    const owned = this.#begin(queue, before.paused);
    await leaving?.gone; // its commit comes first, and it gives up the lock
    if (!await this.#lock(owned)) { // another call has set it since, or it is not ours any more
      this.get(queue);
      return;
    }
    this.#context.offsets.reset(queue, offset);
    try {
      await this.#context.offsets.persist([queue]);
    } finally {
      // Not stored yet, it is written with the next commit: the caller is told, and the queue must not stand still.
      if (await this.#lock(owned)) this.#open(owned, offset);
    }
  }

  /** Up to where the queues of a topic are settled. */
  positions(topic: string): [MessageQueue, number][] {
    const open = this.owned.filter((owned) => owned.counts && owned.queue.topic === topic);
    return open.map(({ queue, process }) => [queue, process.committable]);
  }

  /** Follows an operator who has set the position of a queue; nothing happens if it is not ours. */
  async reset(queue: MessageQueue, offset: number): Promise<void> {
    const owned = this.#owned.get(queueKey(queue));
    if (owned === undefined) return;
    this.#say("offsetReset", queue, owned.counts ? owned.process.position : -1, offset);
    await this.seek(queue, offset, `the queue's position was set to ${offset}`);
  }

  /** Pulls topics anew: what the pulls under way skip by an older selector is not skipped. */
  pullAnew(topics: readonly string[]): void {
    for (const owned of this.#owned.values()) {
      if (owned.state === "open" && topics.includes(owned.queue.topic)) owned.loop.start();
    }
  }

  /** Stores the committable offset of every queue, of one broker's or of all. */
  async commit(broker?: string): Promise<void> {
    const queues: MessageQueue[] = [];
    for (const { queue, counts, process } of this.#owned.values()) {
      if (!counts || (broker !== undefined && queue.broker !== broker)) continue;
      this.#context.offsets.update(queue, process.committable);
      queues.push(queue);
    }
    await this.#context.offsets.persist(queues);
  }

  /** Stores all offsets of a broker again, also those that have not changed since it went away. */
  async rewrite(broker: string): Promise<void> {
    this.#context.offsets.distrust(broker);
    await this.commit(broker);
  }

  /** Stops all pulls for good; what is in hand may still be settled. */
  stop(): void {
    for (const owned of this.#owned.values()) this.#close(owned);
  }

  /** The right to a queue is not ours any more: what is in hand is void, and the queue is locked and read anew. */
  lockLost(queue: MessageQueue, reason: string): void {
    const key = queueKey(queue);
    this.#leaving.get(key)?.owned.end(reason);
    const owned = this.#owned.get(key);
    if (owned === undefined) return;
    const { events, options: { group } } = this.#context;
    const text = `the lock of ${key} is lost: ${reason}; what is in hand comes again where the queue is then`;
    events.emit("warning", "lockLost", text, { group, queue, broker: queue.broker });
    if (owned.state === "starting") return; // before it opens, it is locked again
    const wasOpen = owned.state === "open";
    owned.end(reason);
    if (wasOpen) this.#add({ queue, isNew: false, shared: false }, owned.paused);
  }

  /** Lets all queues go at once, whatever is in hand. */
  async end(reason: string): Promise<void> {
    const committed = this.commit();
    committed.catch(() => {}); // it is looked at later, and may fail before
    const owned = this.owned;
    for (const { owned } of this.#leaving.values()) owned.end(reason);
    for (const each of owned) each.end(reason);
    this.#owned.clear();
    await Promise.all([...this.#leaving.values()].map(({ gone }) => gone));
    try {
      await committed;
    } finally {
      await Promise.all(owned.map(({ queue }) => this.#context.locks?.release(queue)));
    }
  }

  #begin(queue: MessageQueue, paused: boolean): OwnedQueue<T> {
    const owned = new OwnedQueue<T>(queue, queue.topic === retryTopic(this.#context.options.group));
    owned.paused = paused;
    this.#owned.set(queueKey(queue), owned);
    return owned;
  }

  async #add(gain: Gain, paused = this.#paused): Promise<void> {
    const owned = this.#begin(gain.queue, paused);
    const signal = owned.ended;
    // It may be on its way out still, from when it was ours before.
    await this.#leaving.get(queueKey(gain.queue))?.gone;
    // Where queues are locked, the last owner has committed before it has given up the lock.
    const waits = gain.shared && this.#context.locks === undefined;
    if (waits) await delay(HANDOVER_WAIT, { signal }).catch(() => {});
    while (await this.#lock(owned)) {
      try {
        const offset = await this.#gateOf(gain.queue.broker).pass(() => this.#startOffset(owned, gain.isNew));
        if (owned.holdsLock) this.#open(owned, offset); // else another member may have gone on since
      } catch (error) {
        if (signal.aborted) return;
        const { group } = this.#context.options;
        const text = `cannot find where ${queueKey(gain.queue)} begins, trying again in ${RETRY_INTERVAL} ms`;
        const about = { group, queue: gain.queue, broker: gain.queue.broker, error };
        this.#context.events.emit("warning", "stalled", text, about);
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
    const isOurs = this.#owned.has(queueKey(queue)) || this.#leaving.has(queueKey(queue));
    if (lock !== undefined && !isOurs) await this.#context.locks?.release(queue);
  }

  #gateOf(broker: string): Gate {
    let gate = this.#gates.get(broker);
    if (gate === undefined) this.#gates.set(broker, gate = new Gate(BEGINNING));
    return gate;
  }

  /** A stored offset wins. A computed one is stored before the first batch, or a crash would lead to another. */
  async #startOffset(owned: OwnedQueue<T>, isNew: boolean): Promise<number> {
    const { offsets } = this.#context;
    const { queue, isRetry } = owned;
    owned.ended.throwIfAborted();
    const stored = await offsets.read(queue, "store");
    if (stored !== undefined) return stored;
    // A killed broker may have forgotten what we committed before: our own memory is then the better one.
    const offset = await offsets.read(queue, "memory") ??
      await this.#context.startOffset(queue, { isNew, isRetry });
    if (owned.state !== "starting" || !owned.holdsLock) return offset;
    offsets.reset(queue, offset);
    await offsets.persist([queue]);
    return offset;
  }

  #open(owned: OwnedQueue<T>, offset: number): void {
    if (owned.state !== "starting") return;
    const process = new ProcessQueue<T>(offset, this.#context.keyOf);
    const loop = new PullLoop<T>(new QueuePulls(this.#pulls, owned, process));
    this.#context.offsets.reset(owned.queue, offset);
    owned.open(process, loop);
    loop.start();
  }

  /** Lets one queue go: nothing more is handed out, what is in hand may settle for a while, then it is committed. */
  async #letGo(queue: MessageQueue, reason: string): Promise<void> {
    const key = queueKey(queue);
    const owned = this.#owned.get(key);
    if (owned === undefined) return;
    const hasOpened = owned.state === "open" || owned.state === "closing";
    this.#close(owned);
    this.#owned.delete(key);
    if (!hasOpened) {
      // An epoch that is still on its way out needs the lock, and gives it up itself.
      if (!this.#leaving.has(key)) await this.#context.locks?.release(queue);
      return;
    }
    const gone = this.#commitLast(owned, reason);
    this.#leaving.set(key, { owned, gone });
    await gone;
    this.#leaving.delete(key);
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
      const text = `the last commit of ${queueKey(queue)} failed: messages since the one before may come again`;
      events.emit("warning", "commitFailed", text, { group, queue, broker: queue.broker, offset, error });
    } finally {
      await locks?.release(queue);
    }
  }

  /** The broker does not have our position: when the loop goes on, or undefined if another epoch begins. */
  #moved(owned: OwnedQueue<T>, answer: PullAnswer<T>, times: number): number | undefined {
    const { queue, process } = owned;
    const { nextOffset: to, remark } = answer;
    if (remark.includes(OFFSET_RESET)) {
      this.#jump(owned, () => Promise.resolve(to), "offsetReset");
      return undefined;
    }
    if (to > process.position) {
      // The broker has deleted what is below; what is held already stays good.
      this.#say("offsetJumped", queue, process.position, to);
      process.put([], to);
      return 0;
    }
    if (owned.newestStoredAt === 0 && times < MOVED_PATIENCE) return RETRY_INTERVAL;
    this.#jump(owned, () => this.#positionAfterLoss(owned), "offsetJumped");
    return undefined;
  }

  /**
   * The queue is shorter than what was read of it: its topic was made anew, or its broker lost the end of its log.
   * Going to the new end, as brokers propose, would skip what was written there since.
   */
  #positionAfterLoss(owned: OwnedQueue<T>): Promise<number> {
    const { brokers } = this.#context;
    const from = owned.process.oldest?.storedAt.getTime() ?? owned.newestStoredAt;
    return from === 0 ? brokers.minOffset(owned.queue) : brokers.offsetAt(owned.queue, from);
  }

  async #jump(owned: OwnedQueue<T>, to: () => Promise<number>, type: "offsetReset" | "offsetJumped"): Promise<void> {
    const from = owned.process.position;
    while (owned.state === "open") {
      try {
        const offset = await to();
        if (owned.state !== "open") return;
        this.#say(type, owned.queue, from, offset);
        await this.seek(owned.queue, offset, `the queue's position was set to ${offset}`);
      } catch (error) {
        this.#pullFailed(owned, error);
        await delay(RETRY_INTERVAL, { signal: owned.ended }).catch(() => {});
      }
    }
  }

  #say(type: "offsetReset" | "offsetJumped", queue: MessageQueue, from: number, to: number): void {
    const { group } = this.#context.options;
    const text = `the position of ${queueKey(queue)} went from ${from} to ${to}`;
    this.#context.events.emit("warning", type, text, { group, queue, broker: queue.broker, offset: to });
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
