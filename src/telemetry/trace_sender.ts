/**
 * Sends trace contexts to the trace topic, in the background and never at the cost of what is traced.
 *
 * @module
 */

import { uniqueKeysOf } from "../cluster/client_id.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { unlessUnconfirmed } from "../cluster/route_finder.ts";
import { TimeoutError } from "../errors.ts";
import type { EventHub } from "../events.ts";
import { Deadline } from "../sending/deadline.ts";
import { Sender } from "../sending/sender.ts";
import { atMost } from "../waiting.ts";
import { PropertyName } from "../wire/codes.ts";
import type { UniqueKeys } from "../wire/message_id.ts";
import { encodeProperties } from "../wire/properties.ts";
import { packContexts, type TraceMessage } from "./trace_messages.ts";
import type { TraceContext } from "./trace_records.ts";

// Sources of the next five: AsyncTraceDispatcher, DefaultMQProducer.
/** How many contexts wait at the most; further ones are dropped. */
const CAPACITY = 2_048;
/** How many contexts a batch has. */
const BATCH_SIZE = 20;
/** How long a context waits for others, in milliseconds. */
const FLUSH_INTERVAL = 5_000;
/** How long sending a batch may take over all its attempts, and how long closing, in milliseconds. */
const TIMEOUT = 5_000;
/** How many answers with an error may be followed by another attempt. */
const RETRIES = 2;

/** How many batches are in flight at the most. */
const MOST_SENDING = 4;
/** The pause after a batch could not be sent, in milliseconds. */
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
  /** How long sending a batch may take over all its attempts, in milliseconds. @default {5_000} */
  readonly sendTimeout?: number;
  /** How long {@linkcode TraceSender.close} waits, in milliseconds. @default {5_000} */
  readonly closeTimeout?: number;
}

/**
 * A bounded queue of contexts, and the batches of them that are in flight.
 *
 * While the trace topic is missing contexts wait for it. Those for which there is no room are dropped, as are those of
 * a batch that could not be sent; they are counted, and one event is emitted until sending succeeds again.
 */
export class TraceSender {
  #options: TraceSenderOptions;
  #uniqueKeys: UniqueKeys;
  #sender: Sender;
  #queue: TraceContext[] = [];
  #sending = new Set<Promise<void>>();
  /** Ends the wait for more contexts, or a pause. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDue = false;
  #isPaused = false;
  #isClosing = false;
  #abort = new AbortController();
  /** How many contexts were sent, and how many were lost. */
  #totals = { sent: 0, dropped: 0 };
  /** What was reported since sending last succeeded. */
  #reported = new Set<"overflow" | "failure" | "missing">();

  /** Makes a sender; nothing is requested or opened before something is to be sent. */
  constructor(options: TraceSenderOptions) {
    this.#options = options;
    this.#uniqueKeys = uniqueKeysOf(options.cluster.clientId);
    const group = `_INNER_TRACE_PRODUCER-${options.group}-CONSUME-1`;
    this.#sender = new Sender(options.cluster, { group, retries: RETRIES });
  }

  /** How many contexts were sent, and how many were lost for want of room or because sending failed. */
  get totals(): { readonly sent: number; readonly dropped: number } {
    return { ...this.#totals };
  }

  /** Whether there is room for another context; if not, counts one that is dropped. */
  hasRoom(): boolean {
    if (this.#isClosing) return false;
    if (this.#queue.length < CAPACITY) return true;
    this.#totals.dropped++;
    const text =
      `the trace cannot be sent as fast as it is recorded: ${CAPACITY} contexts wait, further ones are dropped`;
    this.#report("overflow", text);
    return false;
  }

  /** Adds a context, for which there must be room. */
  add(context: TraceContext): void {
    this.#queue.push(context);
    if (this.#queue.length >= BATCH_SIZE) this.#pump();
    this.#timer ??= setTimeout(() => this.#wake(), this.#options.flushInterval ?? FLUSH_INTERVAL);
  }

  /** Sends what waits, and drops what is not sent in time. To be called once. */
  async close(): Promise<void> {
    const { closeTimeout = TIMEOUT } = this.#options;
    this.#isClosing = true;
    clearTimeout(this.#timer);
    this.#wake();
    await atMost(this.#whenSent(), closeTimeout);
    this.#abort.abort(new TimeoutError("send the last trace", closeTimeout));
    this.#drop(this.#queue.splice(0).length);
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

  /** Sends nothing for a while. */
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
    this.#reported.delete("overflow");
  }

  /** Sends contexts, or puts them back into the queue, or drops them; never rejects. */
  async #send(contexts: readonly TraceContext[]): Promise<void> {
    const { cluster, topic } = this.#options;
    try {
      if (await cluster.routes.get(topic).catch(unlessUnconfirmed) === undefined) return this.#hold(contexts);
      const results = await Promise.allSettled(packContexts(contexts).map((message) => this.#sendMessage(message)));
      const failed = results.find((result) => result.status === "rejected");
      if (failed !== undefined) throw failed.reason;
      this.#totals.sent += contexts.length;
      this.#reported.delete("failure");
      this.#reported.delete("missing");
    } catch (error) {
      this.#drop(contexts.length, error);
      this.#pause(FAILURE_PAUSE);
    }
  }

  /** Puts contexts back until the topic exists, which is checked as often as routes are refreshed. */
  #hold(contexts: readonly TraceContext[]): void {
    const { cluster, topic } = this.#options;
    this.#queue.unshift(...contexts);
    const text = `no name server knows topic "${topic}": the trace waits until it is created`;
    this.#report("missing", text);
    if (this.#isClosing) this.#drop(this.#queue.splice(0).length);
    this.#pause(cluster.options.routeInterval);
  }

  async #sendMessage({ body, keys }: TraceMessage): Promise<void> {
    const { topic, sendTimeout = TIMEOUT } = this.#options;
    const properties = encodeProperties([
      [PropertyName.KEYS, keys],
      [PropertyName.UNIQUE_KEY, this.#uniqueKeys.next()],
      [PropertyName.WAIT, "true"],
    ]);
    const request = { topic, body: encoder.encode(body), flag: 0, sysFlag: 0, properties };
    await this.#sender.send(request, {}, new Deadline(sendTimeout, this.#abort.signal));
  }

  #drop(contexts: number, error?: unknown): void {
    if (contexts === 0) return;
    this.#totals.dropped += contexts;
    this.#report("failure", `cannot send the trace to topic "${this.#options.topic}": contexts are dropped`, error);
  }

  #report(what: "overflow" | "failure" | "missing", text: string, error?: unknown): void {
    if (this.#reported.has(what)) return;
    this.#reported.add(what);
    const { events, group, topic } = this.#options;
    const details = { group, topic, ...(error === undefined ? {} : { error }) };
    events.emit("warning", what === "missing" ? "missingTopic" : "lost", text, details);
  }
}
