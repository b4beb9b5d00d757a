/**
 * A group whose queues are watched: waves of one message for each queue are sent, and it is noted who gets them, and when.
 *
 * @module
 */

import type { Consumer } from "../../mod.ts";
import type { RawBroker } from "../behaviour/raw_broker.ts";

/** Whose member it was: the client under test, or Java's. */
export type Side = "ours" | "java";

/** A message for each queue, sent at once. */
export interface Wave {
  readonly name: string;
  readonly sentAt: number;
}

/** Sends a wave, which counts from now on. */
export async function sendWave(raw: RawBroker, topic: string, queues: number, name: string): Promise<Wave> {
  const sentAt = performance.now();
  const ids = Array.from({ length: queues }, (_, queueId) => queueId);
  await Promise.all(ids.map((queueId) => raw.publish(topic, [bodyOf(name, queueId)], { queueId })));
  return { name, sentAt };
}

function bodyOf(wave: string, queueId: number): string {
  return `${wave}/${queueId}`;
}

/** A group of a consumer of ours, and perhaps of others. */
export class WatchedGroup {
  readonly #consumer: Consumer;
  readonly #topic: string;
  /** All queues of the topic. */
  readonly ids: readonly number[];
  readonly #got = new Map<string, { readonly by: Side; readonly at: number }>();
  /** Since when each queue is to move. */
  #watchedSince = new Map<number, number>();
  readonly #consuming: Promise<void>;

  constructor(consumer: Consumer, topic: string, queues: number) {
    this.#consumer = consumer;
    this.#topic = topic;
    this.ids = Array.from({ length: queues }, (_, queueId) => queueId);
    this.#consuming = this.#consume();
  }

  async #consume(): Promise<void> {
    for await (const batch of this.#consumer) {
      for (const message of batch) this.note(message.text(), "ours");
    }
  }

  /** Notes that a message came; the first time counts. */
  note(body: string, by: Side): void {
    if (!this.#got.has(body)) this.#got.set(body, { by, at: performance.now() });
  }

  /** The queues that are assigned at present, in order. */
  owned(): number[] {
    const ours = this.#consumer.assignment().filter(({ topic }) => topic === this.#topic);
    return ours.map(({ queueId }) => queueId).sort((a, b) => a - b);
  }

  /** The queues whose message of a wave nobody has got. */
  missing({ name }: Wave): number[] {
    return this.ids.filter((queueId) => !this.#got.has(bodyOf(name, queueId)));
  }

  /** The queues whose message of a wave went to one side. */
  gotBy({ name }: Wave, side: Side): number[] {
    return this.ids.filter((queueId) => this.#got.get(bodyOf(name, queueId))?.by === side);
  }

  /** The queues of some, ours if not told, that were watched for so long while a message waited. To be called often. */
  standing(waves: readonly Wave[], ms: number, queues: readonly number[] = this.owned()): number[] {
    const now = performance.now();
    this.#watchedSince = new Map(queues.map((queueId) => [queueId, this.#watchedSince.get(queueId) ?? now]));
    const standing = (queueId: number, since: number) =>
      waves.some(({ name, sentAt }) => now - Math.max(sentAt, since) > ms && !this.#got.has(bodyOf(name, queueId)));
    return [...this.#watchedSince].filter(([queueId, since]) => standing(queueId, since)).map(([queueId]) => queueId);
  }

  /** How long the slowest message took that went to one side, in milliseconds; 0 if it got none. */
  slowest(waves: readonly Wave[], side: Side): number {
    const took = waves.flatMap(({ name, sentAt }) =>
      this.ids.map((queueId) => this.#got.get(bodyOf(name, queueId))).map((got) =>
        got?.by === side ? got.at - sentAt : 0
      )
    );
    return Math.max(0, ...took);
  }

  /** Ends our member. */
  async close(): Promise<void> {
    await this.#consumer.close();
    await this.#consuming;
  }
}
