/**
 * Settling messages where their order does not matter.
 *
 * @module
 */

import { ValidationError } from "../../errors.ts";
import type { Message } from "../../message.ts";
import type { Batch } from "./batch.ts";
import type { RetryOptions } from "./delivered_batch.ts";
import { Settlement } from "./settlement.ts";
import { inBackground } from "../../owned_work.ts";

/** The delay level of a message whose batch was in flight for too long. Source: ConsumeMessageConcurrentlyService. */
const TIMEOUT_LEVEL = 3;
/** The highest level that brokers have by default. Source: MessageStoreConfig. */
const HIGHEST_LEVEL = 18;

/** The rules of concurrent consumption: each message for itself, what fails is sent back. */
export class ConcurrentSettlement<T = unknown> extends Settlement<T> {
  async retry(batch: Batch<T>, message: Message<T> | undefined, options: RetryOptions): Promise<void> {
    const level = levelOf(options);
    if (batch.counts) await this.redeliver(batch, batch.claim(message), level);
  }

  protected claimAcked(batch: Batch<T>, message: Message<T>): number[] {
    return batch.claim(message);
  }

  protected expired(batch: Batch<T>): void {
    const { redelivery, options: { consumeTimeout } } = this.context;
    if (!redelivery.sendsBack) return;
    const claimed = batch.claim();
    batch.abort(`it was in flight for more than ${consumeTimeout} ms`);
    const { events, options: { group } } = this.context;
    inBackground(
      this.redeliver(batch, claimed, TIMEOUT_LEVEL, "timedOut"),
      events.failureOf("sendBackFailed", "retrying a batch in flight for too long", { group, queue: batch.queue }),
    );
  }
}

function levelOf({ delayLevel = 0, delay }: RetryOptions): number {
  const problems = [];
  if (!Number.isInteger(delayLevel) || delayLevel < 0 || delayLevel > HIGHEST_LEVEL) {
    problems.push({ field: "delayLevel", value: delayLevel, allowed: `1 to ${HIGHEST_LEVEL}` });
  }
  if (delay !== undefined) {
    problems.push({
      field: "delay",
      value: delay,
      allowed: "nothing: brokers know delay levels only, give delayLevel",
    });
  }
  if (problems.length > 0) throw new ValidationError("retry", problems);
  return delayLevel;
}
