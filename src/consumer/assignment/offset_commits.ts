/**
 * Storing the offsets of the queues that are assigned.
 *
 * @module
 */

import type { EventHub } from "../../events.ts";
import { type MessageQueue, queueKey } from "../../message.ts";
import type { OffsetTable } from "../../offsets/offset_table.ts";
import { CommitPace } from "./commit_pace.ts";
import { CommitReports } from "./commit_reports.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";

/** What {@linkcode OffsetCommits} work with. */
export interface OffsetCommitsContext {
  /** Keeps offsets. */
  readonly offsets: OffsetTable;
  /** Emits events. */
  readonly events: EventHub;
  /** The group, for events. */
  readonly group: string;
}

/** Stores how far queues are settled: on request, as they move, and again after their broker was lost. */
export class OffsetCommits<T = unknown> {
  /** What becomes of those that fail. */
  readonly reports: CommitReports;
  #context: OffsetCommitsContext;
  #pace = new CommitPace<T>({ commit: (queues) => this.#commitMoved(queues) });
  /** Brokers that have not taken the last offsets that moved. */
  #failing = new Set<string>();
  /** Offsets of revoked queues whose last commit failed, until their broker is back. */
  #unsaved = new Map<string, { readonly queue: MessageQueue; readonly offset: number }>();

  /** Makes it without anything to store. */
  constructor(context: OffsetCommitsContext) {
    this.#context = context;
    this.reports = new CommitReports(context.events, context.group);
  }

  /** Called after messages of a queue were settled: its offset is stored soon. */
  moved(owned: OwnedQueue<T>): void {
    this.#pace.moved(owned);
  }

  /** Stores nothing more by itself. */
  stop(): void {
    this.#pace.stop();
  }

  /** Stores the committable offsets of queues. */
  async commit(owned: readonly OwnedQueue<T>[]): Promise<void> {
    await this.#context.offsets.persist(this.#update(owned));
  }

  /** Stores all offsets of a broker again: those of its queues that are assigned, and what it could not take before. */
  async rewrite(broker: string, owned: readonly OwnedQueue<T>[]): Promise<void> {
    const { offsets } = this.#context;
    offsets.invalidate(broker);
    const unsaved = [...this.#unsaved.values()].filter(({ queue }) => queue.broker === broker);
    for (const { queue, offset } of unsaved) offsets.update(queue, offset);
    await offsets.persist(unsaved.map(({ queue }) => queue));
    const ours = new Set(owned.map(({ queue }) => queueKey(queue)));
    for (const { queue } of unsaved) {
      this.#unsaved.delete(queueKey(queue));
      if (!ours.has(queueKey(queue))) offsets.forget(queue);
    }
    await this.commit(owned);
  }

  /** Keeps the offset of a queue that is not assigned any more and could not be stored. */
  keep(queue: MessageQueue, offset: number): void {
    this.#unsaved.set(queueKey(queue), { queue, offset });
  }

  /** The offset that was kept for a queue; undefined if there is none. */
  unsaved(queue: MessageQueue): number | undefined {
    return this.#unsaved.get(queueKey(queue))?.offset;
  }

  /** Notes how far queues are settled; returns those that count. */
  #update(owned: readonly OwnedQueue<T>[]): MessageQueue[] {
    const counting = owned.filter(({ counts }) => counts);
    for (const { queue, process } of counting) this.#context.offsets.update(queue, process.committable);
    return counting.map(({ queue }) => queue);
  }

  async #commitMoved(owned: readonly OwnedQueue<T>[]): Promise<void> {
    const { broker } = owned[0]!.queue;
    try {
      await this.commit(owned);
      this.#failing.delete(broker);
    } catch (error) {
      if (this.#failing.has(broker)) return;
      this.#failing.add(broker);
      this.reports.failed(error, broker);
    }
  }
}
