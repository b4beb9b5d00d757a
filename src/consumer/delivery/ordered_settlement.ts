/**
 * Settling messages in the order of their queue, or of their keys.
 *
 * @module
 */

import { ValidationError } from "../../errors.ts";
import type { Message } from "../../message.ts";
import type { Batch } from "./batch.ts";
import { DEAD_LETTER_LEVEL } from "./redelivery.ts";
import type { RetryOptions } from "./delivered_batch.ts";
import { Settlement } from "./settlement.ts";

/** For how long a queue or a key may rest, in milliseconds. Source: ConsumeMessageOrderlyService. */
const [SHORTEST_REST, LONGEST_REST] = [10, 30_000];
/** After so many failures of one message an event reports that it holds up those behind it. */
const MANY_TIMES = 16;

/**
 * The rules of ordered consumption: what fails stays in its place with all behind it that has the same key, and is
 * redelivered after a rest. Source: ConsumeMessageOrderlyService.
 *
 * Where whole queues are ordered, all messages have one key.
 */
export class OrderedSettlement<T = unknown> extends Settlement<T> {
  async retry(batch: Batch<T>, message: Message<T> | undefined, options: RetryOptions): Promise<void> {
    const rest = restOf(options) ?? this.context.options.suspendQueue;
    if (!batch.counts) return;
    if (message !== undefined && !batch.isUnsettled(message)) return;
    const failedAt = message === undefined ? undefined : batch.positionOf(message);
    const claimed = message === undefined ? batch.claim() : batch.claimWhere(behind(batch, failedAt!));
    const failed = failedAt === undefined ? claimed : [failedAt];
    if (message !== undefined) this.acknowledge(batch, batch.claimWhere(upTo(batch, failedAt!)));
    const dead = failed.filter((at) => batch.messages[at]!.reconsumeTimes >= this.context.options.maxReconsumeTimes);
    const waiting = failed.filter((at) => !dead.includes(at));
    for (const at of waiting) this.#count(batch, at);
    this.failed(batch, waiting);
    // Requeued first: of other keys than those of the dead nothing waits for the broker.
    this.requeue(batch, claimed.filter((at) => !dead.includes(at)), rest);
    await this.redeliver(batch, dead, DEAD_LETTER_LEVEL);
  }

  protected claimAcked(batch: Batch<T>, message: Message<T>): number[] {
    return batch.isUnsettled(message) ? batch.claimWhere(upTo(batch, batch.positionOf(message))) : [];
  }

  /** Order forbids to send it back. */
  protected expired(): void {}

  /** A key may be free again: its next messages can be delivered. */
  protected override settled(batch: Batch<T>): void {
    super.settled(batch);
    this.context.sink.offer(batch.owner);
  }

  #count(batch: Batch<T>, at: number): void {
    const message = batch.messages[at]!;
    message.retriedHere++;
    this.countRetried(1);
    if (message.retriedHere !== MANY_TIMES) return;
    const { events, options: { group } } = this.context;
    const { queue, topic, queueOffset: offset, messageId } = message;
    const text = `message ${messageId} of topic "${topic}" has failed ${MANY_TIMES} times and holds up those behind it`;
    events.emit("warning", "stalled", text, { group, broker: queue.broker, topic, queue, offset });
  }
}

/** The positions up to one that have its key. */
function upTo<T>(batch: Batch<T>, last: number): (at: number) => boolean {
  const key = batch.keyAt(last);
  return (at) => at <= last && batch.keyAt(at) === key;
}

/** The positions from one on that have its key. */
function behind<T>(batch: Batch<T>, first: number): (at: number) => boolean {
  const key = batch.keyAt(first);
  return (at) => at >= first && batch.keyAt(at) === key;
}

function restOf({ delay, delayLevel }: RetryOptions): number | undefined {
  const problems = [];
  if (delayLevel !== undefined) {
    const allowed = "nothing: in order messages stay in their place, give delay in milliseconds";
    problems.push({ field: "delayLevel", value: delayLevel, allowed });
  }
  if (delay !== undefined && !(Number.isInteger(delay) && delay >= SHORTEST_REST && delay <= LONGEST_REST)) {
    problems.push({
      field: "delay",
      value: delay,
      allowed: `an integer from ${SHORTEST_REST} to ${LONGEST_REST} (ms)`,
    });
  }
  if (problems.length > 0) throw new ValidationError("retry", problems);
  return delay;
}
