/**
 * What a scenario is given: a broker, clients that are closed for it, and ways to wait for what has to happen.
 *
 * Scenario files know nothing of the runtime and of the kind of broker: the same files run on Deno, Bun and Node, and
 * on the embedded broker and real ones.
 *
 * @module
 */

import { AssertionError } from "@std/assert";
import type {
  Client,
  ConnectOptions,
  Consumer,
  Message,
  MessageBatch,
  StatusEvent,
  StatusEventType,
} from "../../mod.ts";
import type { Faults } from "../../src/embedded/mod.ts";
import { deadLetterTopic } from "../../src/wire/names.ts";
import type { RocketMQVersion } from "../../tools/rocketmq/fetch.ts";
import type { CuttableTransport } from "./cuttable_transport.ts";
import type { RawPeer } from "./raw_peer.ts";

/** How long anything may take that has to happen, unless told, in milliseconds. */
const PATIENCE = 15_000;
/** Between two looks at a condition, in milliseconds. */
const POLL_INTERVAL = 8;

/** The brokers that the scenarios run on. */
export type BrokerName = "embedded" | RocketMQVersion;

/** A message for {@linkcode TestBroker.publish}. */
export interface TestMessage {
  /** The body, not empty; a text becomes UTF-8. */
  readonly body: string | Uint8Array;
  /** The tag. */
  readonly tags?: string;
  /** The index keys. */
  readonly keys?: readonly string[];
  /** Further properties by name. */
  readonly properties?: Readonly<Record<string, string>>;
  /** The system flag, which tells how the body is packed. */
  readonly sysFlag?: number;
  /** The user's flag. */
  readonly flag?: number;
}

/** Where messages are published to. */
export interface PublishOptions {
  /** The queue. @default the queues of the topic in turn, from the first on */
  readonly queueId?: number;
}

/** What runs scenarios: a broker, or a cluster. */
export interface TestServers {
  /** Which one. */
  readonly name: BrokerName;
  /** Which line it speaks: the embedded one speaks 5. */
  readonly line: 4 | 5;
  /** The name server's `host:port`; of several, joined by `;`. */
  readonly nameServer: string;
  /** Makes a topic, with so many queues on each broker; resolves when every name server shows them. */
  createTopic(topic: string, queues: number): Promise<void>;
  /** The client ids in a group, at each broker; none if it has no member. */
  consumerList(group: string): Promise<readonly string[]>;
}

/** A name server or a broker of a cluster, and what can happen to it. */
export interface TestServer {
  /** Its `host:port`, as it is now. */
  readonly address: string;
  /** Ends it as `kill -9` does. */
  kill(): Promise<void>;
  /** Starts it again; resolves when it works, and is known where it has to be known. */
  revive(): Promise<void>;
  /** Stops it as SIGSTOP does: its port accepts, nothing is answered. */
  pause(): void;
  /** Lets it go on, with what has arrived meanwhile. */
  resume(): Promise<void>;
  /** Moves it to another port. The embedded one only: a real one would need another configuration. */
  readonly move?: () => Promise<void>;
}

/** A broker of a cluster. */
export interface TestMember extends TestServer {
  /** Its name. */
  readonly name: string;
  /** Stores messages, in order, and gives their unique keys. */
  publish(topic: string, messages: Iterable<string | TestMessage>, options?: PublishOptions): Promise<string[]>;
  /** Whether any name server shows it in a topic's route. */
  isRouted(topic: string): Promise<boolean>;
  /** The client ids in a group, as often as it names them. */
  consumerList(group: string): Promise<readonly string[]>;
  /** What a group has committed for a queue. */
  committed(group: string, queue: QueueName): Promise<number | undefined>;
}

/** Two name servers and two brokers, which scenarios have for themselves, one after the other. */
export interface TestCluster extends TestServers {
  /** The brokers, in the order of their names. */
  readonly brokers: readonly [TestMember, TestMember];
  /** The name servers, in the order in which clients are told of them. */
  readonly names: readonly [TestServer, TestServer];
}

/** One name server and one broker, which many scenarios share. What it tells comes from requests of its own. */
export interface TestBroker extends TestServers {
  /** The broker's own `host:port`. */
  readonly address: string;
  /** The names of the brokers: one. */
  readonly brokerNames: readonly string[];
  /** Raw requests to it: what other members and operators do. */
  readonly raw: RawPeer;
  /** Stores messages, in order, and gives their unique keys; the broker must know the topic. */
  publish(topic: string, messages: Iterable<string | TestMessage>, options?: PublishOptions): Promise<string[]>;
  /** What a group has committed for a queue. 4.9 says 0 where 5 says that there is nothing. */
  committed(group: string, queue: QueueName): Promise<number | undefined>;
  /** The offset that a queue's next message gets. */
  maxOffset(queue: QueueName): Promise<number>;
  /** The smallest offset that a queue holds. */
  minOffset(queue: QueueName): Promise<number>;
  /** Ends the broker as `kill -9` does; its name server stays. */
  kill(): Promise<void>;
  /** Starts it again, resolves when it is ready; tells when its port opened, by the monotonic clock. */
  revive(): Promise<{ readonly openedAt: number }>;
  /** Ends the broker in order, and starts it again. */
  restart(): Promise<void>;
  /** Ends the name server, and starts it again: then it knows the broker. Where it is a server of its own. */
  readonly names?: { kill(): Promise<void>; revive(): Promise<void> };
  /**
   * Drops all that a topic holds now, so that the smallest offset of each queue rises to what is its maximum. Each
   * queue gets one more message, with the body `"survivor"`. A real broker restarts for it.
   */
  expire(topic: string): Promise<void>;
  /** What goes wrong on purpose. The embedded broker only; shared by all scenarios, so faults need a `match`. */
  readonly faults?: Faults;
}

/** A queue of a broker. */
export interface QueueName {
  /** The topic. */
  readonly topic: string;
  /** The queue's number. */
  readonly queueId: number;
}

/** A client of a scenario, and what can be done to it. */
export interface TestClient {
  /** The client. */
  readonly mq: Client;
  /** Its sockets. */
  readonly transport: CuttableTransport;
  /** What its `status()` has told since the start. */
  readonly events: readonly StatusEvent[];
  /** Waits for an event of a type. */
  untilEvent(type: StatusEventType, matches?: (event: StatusEvent) => boolean): Promise<StatusEvent>;
}

/** What a running scenario works with. */
export interface Scene<S extends TestServers = TestBroker> {
  /** The broker, or the cluster. */
  readonly broker: S;
  /** A name that nobody else uses. */
  name(what: string): string;
  /** Makes a topic that nobody else uses, with so many queues on each broker. */
  topic(queues?: number): Promise<string>;
  /** The name of a group that nobody else uses; it must be without members when the scenario ends. */
  group(): string;
  /** Connects a client that is closed when the scenario ends; all its sockets must be closed then. */
  client(options?: ConnectOptions): Promise<TestClient>;
  /** Connects, where only the client itself is wanted. */
  connect(options?: ConnectOptions): Promise<Client>;
  /** Does something beside the scenario: if it fails, the scenario fails at once. */
  background<T>(work: () => Promise<T>): Promise<T>;
  /** Does something when the scenario ends, before clients are closed. */
  finally(action: () => unknown): void;
  /** Prints a line that tells a measurement. */
  print(text: string): void;
}

/** One behaviour, and the proof of it. */
export interface Scenario<S extends TestServers = TestBroker> {
  /** Begins with what behaves. */
  readonly name: string;
  /** Whether nothing else may run on the broker meanwhile: it is killed, or time is measured. */
  readonly alone?: boolean;
  /** How long it may take, in milliseconds. @default {60_000} */
  readonly timeout?: number;
  /** Whether it can run on this broker. @default on all */
  readonly on?: (broker: S) => boolean;
  /** Fails by throwing. */
  readonly run: (scene: Scene<S>) => Promise<void>;
}

/** How {@linkcode waitUntil} waits. */
export interface WaitOptions {
  /** What is waited for, for the error. */
  readonly what: string | (() => string);
  /** At most this long, in milliseconds. */
  readonly timeout?: number;
}

/** Waits until a condition gives something that is not false or undefined, and gives it. */
export async function waitUntil<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, false | undefined | null>> {
  const { what, timeout = PATIENCE } = options;
  const started = performance.now();
  for (;;) {
    const value = await condition();
    if (value !== false && value !== undefined && value !== null) return value as Exclude<T, false | undefined | null>;
    if (performance.now() - started > timeout) {
      throw new AssertionError(`Not within ${timeout} ms: ${typeof what === "string" ? what : what()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
  }
}

/** Waits for a promise, but not for ever. */
export async function within<T>(promise: Promise<T>, what: string, timeout: number = PATIENCE): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new AssertionError(`Not within ${timeout} ms: ${what}`)), timeout);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The time that a handler's work takes, in milliseconds. Not for waiting: that is what {@linkcode waitUntil} is for. */
export function work(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The next batch of a loop; fails if the loop ends, or nothing comes. */
export async function nextBatch<T>(
  batches: AsyncIterator<MessageBatch<T>, unknown>,
  timeout: number = PATIENCE,
): Promise<MessageBatch<T>> {
  const { done, value } = await within(batches.next(), "a batch", timeout);
  if (done) throw new AssertionError("The loop ended, a batch was expected");
  return value as MessageBatch<T>;
}

/** How {@linkcode take} takes. */
export interface TakeOptions {
  /** Only messages of this topic. */
  readonly topic?: string;
  /** At most this long, in milliseconds. */
  readonly timeout?: number;
}

/** Takes messages until there are `count`, and acknowledges them all. The last batch may bring more. */
export async function take(consumer: Consumer, count: number, options: TakeOptions = {}): Promise<Message[]> {
  const { timeout = PATIENCE, topic } = options;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeout);
  const messages: Message[] = [];
  try {
    for await (const batch of consumer.batches({ signal: stop.signal, ...(topic === undefined ? {} : { topic }) })) {
      messages.push(...batch);
      await batch.ack();
      if (messages.length >= count) return messages;
    }
  } finally {
    clearTimeout(timer);
  }
  const texts = messages.slice(-5).map(textOf).join(", ");
  throw new AssertionError(
    `Not within ${timeout} ms: ${count} messages; got ${messages.length}, the last are ${texts}`,
  );
}

/** Waits until a group has so many dead letters: a broker shows a message a moment after it has stored it. */
export async function untilDead({ broker }: Scene, group: string, count: number): Promise<void> {
  const dead = () => broker.maxOffset({ topic: deadLetterTopic(group), queueId: 0 }).catch(() => 0);
  let last = 0;
  await waitUntil(async () => (last = await dead()) === count, {
    what: () => `${count} dead letters; there are ${last}`,
  });
}

/** Texts that can be told apart: `m0`, `m1`, … */
export function texts(count: number, prefix = "m", first = 0): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${first + i}`);
}

/** The body of a message, as text. */
export function textOf(message: Message): string {
  return message.text();
}

/** The bodies of messages, as sorted texts. */
export function sortedTexts(messages: Iterable<Message>): string[] {
  return [...messages].map(textOf).sort();
}

/** Messages by the number of their queue, in the order given. */
export function byQueue(messages: Iterable<Message>): Map<number, Message[]> {
  const queues = new Map<number, Message[]>();
  for (const message of messages) {
    const { queueId } = message.queue;
    queues.set(queueId, [...queues.get(queueId) ?? [], message]);
  }
  return queues;
}

/** How often each text occurs more than once, as one number. */
export function duplicatesIn(seen: readonly string[]): number {
  return seen.length - new Set(seen).size;
}
