/**
 * Gets trace contexts to the trace topic, in the background and never at the cost of what is traced.
 *
 * @module
 */

import { uniqueKeysOf } from "../cluster/client_id.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { unlessUnconfirmed } from "../cluster/route_finder.ts";
import { sendOwnMessage } from "../cluster/own_message.ts";
import { TimeoutError } from "../errors.ts";
import type { EventHub } from "../events.ts";
import { atMost } from "../waiting.ts";
import { PropertyName } from "../wire/codes.ts";
import type { UniqueKeys } from "../wire/message_id.ts";
import { packContexts, type TraceMessage } from "./trace_messages.ts";
import type { TraceContext } from "./trace_records.ts";

// Sources of the next five: AsyncTraceDispatcher, DefaultMQProducer.
/** How many contexts wait at the most; what comes then is dropped. */
const CAPACITY = 2_048;
/** How many contexts are sent at once. */
const BATCH_SIZE = 20;
/** How long a context waits for others, in milliseconds. */
const FLUSH_INTERVAL = 5_000;
/** How long one attempt to send may take, and how long closing, in milliseconds. */
const TIMEOUT = 5_000;
/** How often a message is tried. */
const ATTEMPTS = 3;

/** How many batches are on their way at the most. */
const MOST_SENDING = 4;
/** The rest after a batch could not be sent, in milliseconds. */
const FAILURE_PAUSE = 1_000;

const encoder = new TextEncoder();

/** What a {@linkcode TraceSender} needs. */
export interface TraceSenderOptions {
  /** Where the trace topic is. */
  readonly cluster: Cluster;
  /** The consumer's group. */
  readonly group: string;
  /** The trace topic. */
  readonly topic: string;
  /** Emits events of contexts that are lost, and of a topic that is missing. */
  readonly events: EventHub;
  /** How long a context waits for others before it is sent, in milliseconds. @default {5_000} */
  readonly flushInterval?: number;
  /** How long {@linkcode TraceSender.close} waits, in milliseconds. @default {5_000} */
  readonly closeTimeout?: number;
}

/**
 * A bounded queue of contexts, and batches of them on their way.
 *
 * While the trace topic is missing contexts wait for it. Those that find no room are dropped, as are those of a batch
 * that could not be sent; they are counted, and there is one event until it works again.
 */
export class TraceSender {
  #options: TraceSenderOptions;
  #uniqueKeys: UniqueKeys;
  #queue: TraceContext[] = [];
  #sending = new Set<Promise<void>>();
  /** Ends the wait for more contexts, or a pause. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDue = false;
  #isPaused = false;
  #isClosing = false;
  #giveUp = new AbortController();
  /** How many contexts were sent, and how many were lost. */
  #totals = { sent: 0, dropped: 0 };
  /** What was told since it last worked. */
  #told = new Set<"overflow" | "failure" | "missing">();

  /** Makes a sender; nothing is asked or opened before something is to be sent. */
  constructor(options: TraceSenderOptions) {
    this.#options = options;
    this.#uniqueKeys = uniqueKeysOf(options.cluster.clientId);
  }

  /** How many contexts were sent, and how many were lost: there was no room, or they could not be sent. */
  get totals(): { readonly sent: number; readonly dropped: number } {
    return { ...this.#totals };
  }

  /** Whether another context would be taken; if there is no room, counts one that is not. */
  hasRoom(): boolean {
    if (this.#isClosing) return false;
    if (this.#queue.length < CAPACITY) return true;
    this.#totals.dropped++;
    const text = `the trace cannot be sent as fast as it comes: ${CAPACITY} contexts wait, more are dropped`;
    this.#tell("overflow", text);
    return false;
  }

  /** Takes a context, for which there must be room. */
  add(context: TraceContext): void {
    this.#queue.push(context);
    if (this.#queue.length >= BATCH_SIZE) this.#pump();
    this.#timer ??= setTimeout(() => this.#wake(), this.#options.flushInterval ?? FLUSH_INTERVAL);
  }

  /** Sends what waits, and gives up what is not sent in time. To be called once. */
  async close(): Promise<void> {
    const { closeTimeout = TIMEOUT } = this.#options;
    this.#isClosing = true;
    clearTimeout(this.#timer);
    this.#wake();
    await atMost(this.#whenSent(), closeTimeout);
    this.#giveUp.abort(new TimeoutError("send the last trace", closeTimeout));
    this.#lose(this.#queue.splice(0).length);
  }

  async #whenSent(): Promise<void> {
    while (this.#sending.size > 0) await Promise.all(this.#sending);
  }

  #wake(): void {
    this.#timer = undefined;
    this.#isPaused = false;
    this.#isDue = true;
    this.#pump();
  }

  /** Nothing is sent for a while. */
  #pause(ms: number): void {
    if (this.#isClosing) return;
    clearTimeout(this.#timer);
    this.#isPaused = true;
    this.#timer = setTimeout(() => this.#wake(), ms);
  }

  /** Begins to send whatever is due. */
  #pump(): void {
    while (!this.#isPaused && this.#sending.size < MOST_SENDING && this.#queue.length > 0) {
      if (!this.#isDue && this.#queue.length < BATCH_SIZE) return;
      const sending = this.#send(this.#queue.splice(0, BATCH_SIZE)).then(() => {
        this.#sending.delete(sending);
        this.#pump();
      });
      this.#sending.add(sending);
    }
    if (this.#queue.length > 0) return;
    this.#isDue = false;
    this.#told.delete("overflow");
  }

  /** Sends contexts, or has them wait, or loses them; never rejects. */
  async #send(contexts: readonly TraceContext[]): Promise<void> {
    const { cluster, topic } = this.#options;
    try {
      if (await cluster.routes.get(topic).catch(unlessUnconfirmed) === undefined) return this.#hold(contexts);
      const results = await Promise.allSettled(packContexts(contexts).map((message) => this.#deliver(message)));
      const failed = results.find((result) => result.status === "rejected");
      if (failed !== undefined) throw failed.reason;
      this.#totals.sent += contexts.length;
      this.#told.delete("failure");
      this.#told.delete("missing");
    } catch (error) {
      this.#lose(contexts.length, error);
      this.#pause(FAILURE_PAUSE);
    }
  }

  /** Puts contexts back until the topic is there: it is looked for as often as routes are refreshed. */
  #hold(contexts: readonly TraceContext[]): void {
    const { cluster, topic } = this.#options;
    this.#queue.unshift(...contexts);
    const text = `no name server knows topic "${topic}": the trace waits until it is created`;
    this.#tell("missing", text);
    if (this.#isClosing) this.#lose(this.#queue.splice(0).length);
    this.#pause(cluster.options.routeInterval);
  }

  async #deliver({ body, keys }: TraceMessage): Promise<void> {
    const { cluster, group, topic } = this.#options;
    const { signal } = this.#giveUp;
    const message = {
      producerGroup: `_INNER_TRACE_PRODUCER-${group}-CONSUME-1`,
      topic,
      body: encoder.encode(body),
      properties: [
        [PropertyName.KEYS, keys],
        [PropertyName.UNIQUE_KEY, this.#uniqueKeys.next()],
        [PropertyName.WAIT, "true"],
      ] as const,
      bornAt: Date.now(),
    };
    for (let attempt = 1;; attempt++) {
      try {
        return await sendOwnMessage(cluster, message, { timeout: TIMEOUT, signal });
      } catch (error) {
        if (attempt === ATTEMPTS || signal.aborted) throw error;
        await cluster.routes.refresh(topic).catch(() => {}); // the attempt that follows tells
      }
    }
  }

  #lose(contexts: number, error?: unknown): void {
    if (contexts === 0) return;
    this.#totals.dropped += contexts;
    this.#tell("failure", `cannot send the trace to topic "${this.#options.topic}": contexts are lost`, error);
  }

  #tell(what: "overflow" | "failure" | "missing", text: string, error?: unknown): void {
    if (this.#told.has(what)) return;
    this.#told.add(what);
    const { events, group, topic } = this.#options;
    const details = { group, topic, ...(error === undefined ? {} : { error }) };
    events.emit("warning", what === "missing" ? "missingTopic" : "lost", text, details);
  }
}
