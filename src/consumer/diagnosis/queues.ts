/**
 * What queues and their brokers say about why nothing arrives.
 *
 * @module
 */

import type { BrokerClient } from "../../brokers/broker_client.ts";
import type { Message, MessageQueue } from "../../message.ts";
import type { QueueLag } from "../consumer.ts";
import type { OwnedQueue } from "../queue/owned_queue.ts";
import { type Selector, selects } from "../subscriptions/selector.ts";
import type { Finding } from "../../health.ts";

/** How many of its last messages are looked at of a queue whose filter lets none pass. */
const SAMPLE = 32;
/** How many queues of a topic are looked at. */
const QUEUES_SAMPLED = 4;
/** How many tags a text names. */
const TAGS_NAMED = 8;

/** What {@linkcode queueFindings} works with. */
export interface QueueFindingsContext {
  /** Asks brokers. */
  readonly brokers: Pick<BrokerClient, "minOffset" | "peek">;
  /** The queues. */
  readonly owned: readonly OwnedQueue[];
  /** How far each is behind. */
  readonly lags: readonly QueueLag[];
  /** What is subscribed. */
  readonly selector: (topic: string) => Selector | undefined;
  /** Whether queues have to be locked before they are pulled. */
  readonly areLocked: boolean;
  /** How what is stored before the position is read, as a remedy. */
  readonly fromBeginning: string;
}

/** Why queues that are assigned deliver nothing, as far as they and their brokers know. */
export async function queueFindings(context: QueueFindingsContext): Promise<Finding[]> {
  const { owned, lags } = context;
  const own = owned.filter(({ isRetry }) => !isRetry);
  const found = [
    pausedOf(own),
    ...startingOf(context, own),
    ...unreachable(lags.map(({ queue: { broker }, reason }) => ({ broker, reason }))),
  ].filter((each) => each !== undefined);
  const topics = [...new Set(own.map(({ queue }) => queue.topic))];
  const silent = topics.filter((topic) => !own.some((each) => each.queue.topic === topic && each.newestStoredAt > 0));
  const looked = await Promise.all(silent.map((topic) => silentTopic(context, topic)));
  found.push(...looked.flat());
  return found.length > 0 ? found : [progressOf(lags)];
}

/** Whether a finding says that nothing is wrong. */
export function isGoodNews({ code }: Finding): boolean {
  return code === "upToDate" || code === "behind";
}

function pausedOf(owned: readonly OwnedQueue[]): Finding | undefined {
  const paused = owned.filter(({ isPaused }) => isPaused);
  if (paused.length === 0) return undefined;
  return {
    code: "paused",
    text: `${paused.length} of ${owned.length} queues are paused: ${named(paused.map(({ queue }) => queue))}`,
    remedy: "call resume(), also after a drain() that was complete",
  };
}

function startingOf({ areLocked }: QueueFindingsContext, owned: readonly OwnedQueue[]): Finding[] {
  const starting = owned.filter(({ state }) => state === "starting");
  const locked = starting.filter(({ lock }) => areLocked && lock?.isHeld !== true);
  const reading = starting.filter((each) => !locked.includes(each));
  const found: Finding[] = [];
  if (locked.length > 0) {
    found.push({
      code: "locked",
      text: `${locked.length} queues are locked by another member: ${named(locked.map(({ queue }) => queue))}`,
      remedy: "it keeps them until what is in flight is settled; brokers release the locks of a dead member after 60 s",
    });
  }
  if (reading.length > 0) {
    found.push({
      code: "starting",
      text: `${reading.length} queues are not pulled yet, their start is being read: ` +
        named(reading.map(({ queue }) => queue)),
      remedy: 'wait a moment; if it stays so, an event "stalled" has the reason',
    });
  }
  return found;
}

/** Brokers that do not answer; those without a reason do. */
export function unreachable(
  places: readonly { readonly broker: string; readonly reason: string | undefined }[],
): Finding[] {
  const failed = new Map<string, { count: number; readonly reason: string }>();
  for (const { broker, reason } of places) {
    if (reason === undefined) continue;
    const known = failed.get(broker);
    if (known === undefined) failed.set(broker, { count: 1, reason });
    else known.count++;
  }
  return [...failed].map(([broker, { count, reason }]) => ({
    code: "brokerUnreachable",
    text: `broker "${broker}", which has ${count} of ${places.length} queues, does not answer: ${reason}`,
    remedy: "start the broker, or make the address that it announces reachable from here (brokerIP1, mapAddress)",
  }));
}

/** Topics that no name server knows. */
export function missingTopics(topics: readonly string[]): Finding[] {
  return topics.map((topic) => ({
    code: "missingTopic",
    text: `no name server knows topic "${topic}"`,
    remedy: "create the topic, or check its name",
  }));
}

/** Why nothing of a topic has been received since the start. */
async function silentTopic(context: QueueFindingsContext, topic: string): Promise<Finding[]> {
  const selector = context.selector(topic);
  const lags = context.lags.filter(({ queue, lag }) => queue.topic === topic && lag !== undefined);
  const found = selector === undefined || selector.expression === "*"
    ? undefined
    : await filteredOf(context, topic, selector, lags).catch(() => undefined);
  const start = await beforeStart(context, topic, lags).catch(() => undefined);
  return [found, start].filter((each) => each !== undefined);
}

async function filteredOf(
  { brokers }: QueueFindingsContext,
  topic: string,
  selector: Selector,
  lags: readonly QueueLag[],
): Promise<Finding | undefined> {
  const sampled = await Promise.all(
    lags.filter(({ maxOffset }) => maxOffset! > 0).slice(0, QUEUES_SAMPLED).map(
      ({ queue, maxOffset }) => brokers.peek(queue, Math.max(0, maxOffset! - SAMPLE), SAMPLE),
    ),
  );
  const messages = sampled.flatMap(({ messages }) => messages);
  if (messages.length === 0 || (selector.type === "TAG" && messages.some((each) => selects(selector, each)))) {
    return undefined;
  }
  return {
    code: "filtered",
    text: `none of the last ${messages.length} messages of topic "${topic}" has passed the filter ` +
      `"${selector.expression}"; they have ${tagsOf(messages)}`,
    remedy: selector.type === "TAG"
      ? `subscribe to the tags that are sent, or to "*"; tags are compared letter by letter`
      : `compare with the properties that are sent: a missing one, or text compared with a number, is never true`,
  };
}

function tagsOf(messages: readonly Message[]): string {
  const counts = new Map<string, number>();
  for (const { tags } of messages) {
    const tag = tags === undefined || tags === "" ? "no tag" : `"${tags}"`;
    counts.set(tag, (counts.get(tag) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const rest = sorted.length > TAGS_NAMED ? ` and ${sorted.length - TAGS_NAMED} others` : "";
  return `the tags ${sorted.slice(0, TAGS_NAMED).map(([tag, count]) => `${tag} (${count})`).join(", ")}${rest}`;
}

async function beforeStart(
  { brokers, fromBeginning }: QueueFindingsContext,
  topic: string,
  lags: readonly QueueLag[],
): Promise<Finding | undefined> {
  const atEnd = lags.filter(({ lag }) => lag === 0);
  const older = await Promise.all(atEnd.map(async ({ queue, committable }) => {
    return Math.max(0, committable! - await brokers.minOffset(queue));
  }));
  const count = older.reduce((sum, each) => sum + each, 0);
  if (count === 0 || atEnd.length < lags.length) return undefined;
  return {
    code: "startsAtEnd",
    text: `${count} messages of topic "${topic}" are stored before the position of this group, and none since: it ` +
      `began at the end, or consumed them before`,
    remedy: fromBeginning,
  };
}

function progressOf(lags: readonly QueueLag[]): Finding {
  const behind = lags.filter(({ lag }) => lag! > 0);
  if (behind.length === 0) {
    return {
      code: "upToDate",
      text: `all ${lags.length} queues are consumed up to their end`,
      remedy: "check that something is being sent, and to this topic of this cluster",
    };
  }
  const count = behind.reduce((sum, { lag }) => sum + lag!, 0);
  return {
    code: "behind",
    text: `${count} messages of ${behind.length} queues are still to be settled, nothing is in the way`,
    remedy: "wait, or add members, queues or concurrency if it grows",
  };
}

function named(queues: readonly MessageQueue[]): string {
  const names = queues.slice(0, TAGS_NAMED).map(({ topic, broker, queueId }) => `${topic}/${broker}/${queueId}`);
  return names.join(", ") + (queues.length > TAGS_NAMED ? " …" : "");
}
