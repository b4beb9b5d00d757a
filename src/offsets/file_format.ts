/**
 * The file of offsets, which may be edited while no member has it open.
 *
 * ```json
 * {
 *   "version": 1,
 *   "group": "billing",
 *   "instance": "default",
 *   "offsets": [
 *     { "topic": "orders", "broker": "broker-a", "queueId": 0, "offset": 12 }
 *   ]
 * }
 * ```
 *
 * @module
 */

import { type Problem, ValidationError } from "../errors.ts";
import { compareQueues, queueKey } from "../message.ts";
import type { LeaseSubject } from "./lease.ts";
import { isOffset, type QueueOffset } from "./store.ts";

/** The version of the files that are written. */
const VERSION = 1;

/** How many problems of one file are named. */
const MAX_PROBLEMS = 10;

/** Writes a file: one line for each queue, in the order of their names. */
export function printOffsets({ group, instance }: LeaseSubject, offsets: Iterable<QueueOffset>): string {
  const lines = [...offsets].sort((a, b) => compareQueues(a.queue, b.queue)).map(({ queue, offset }) => {
    const [topic, broker] = [JSON.stringify(queue.topic), JSON.stringify(queue.broker)];
    return `\n    { "topic": ${topic}, "broker": ${broker}, "queueId": ${queue.queueId}, "offset": ${offset} }`;
  });
  return `{
  "version": ${VERSION},
  "group": ${JSON.stringify(group)},
  "instance": ${JSON.stringify(instance)},
  "offsets": [${lines.join(",")}${lines.length === 0 ? "" : "\n  "}]
}
`;
}

/**
 * Reads a file; undefined if it is broken: no JSON, or no file of offsets at all, as after a crash of the machine.
 *
 * What was written on purpose, by a person or by another version of this package, does not count as broken.
 *
 * @throws {ValidationError} if it is complete, and not understood
 */
export function parseOffsets(subject: LeaseSubject, text: string): QueueOffset[] | undefined {
  const file = parseObject(text);
  if (file === undefined || !("version" in file)) return undefined;
  const problems: Problem[] = [];
  const add = (field: string, value: unknown, allowed: string) => problems.push({ field, value, allowed });
  const { version, group, instance, offsets } = file;
  const entries: readonly unknown[] | undefined = Array.isArray(offsets) ? offsets : undefined;
  if (version !== VERSION) add("version", version, `${VERSION}`);
  else if (entries === undefined) add("offsets", offsets, "an array of offsets");
  if (group !== subject.group) add("group", group, `"${subject.group}"`);
  if (instance !== subject.instance) add("instance", instance, `"${subject.instance}"`);
  const read = problems.length === 0 && entries !== undefined ? readEntries(entries, add) : [];
  if (problems.length > 0) throw new ValidationError("read the offsets", problems.slice(0, MAX_PROBLEMS));
  return read;
}

function readEntries(
  entries: readonly unknown[],
  add: (field: string, value: unknown, allowed: string) => void,
): QueueOffset[] {
  const keys = new Set<string>();
  return entries.flatMap((entry, at) => {
    const { topic, broker, queueId, offset } = isObject(entry) ? entry : {};
    const field = `offsets.${at}`;
    const isTopic = typeof topic === "string" && topic !== "";
    const isBroker = typeof broker === "string" && broker !== "";
    if (!isTopic) add(`${field}.topic`, topic, "a topic");
    if (!isBroker) add(`${field}.broker`, broker, "the name of a broker");
    if (!isOffset(queueId)) add(`${field}.queueId`, queueId, "an integer from 0");
    if (!isOffset(offset)) add(`${field}.offset`, offset, "an integer from 0");
    if (!isTopic || !isBroker || !isOffset(queueId) || !isOffset(offset)) return [];
    const queue = { topic, broker, queueId };
    if (keys.has(queueKey(queue))) add(field, queueKey(queue), "one entry for each queue");
    keys.add(queueKey(queue));
    return [{ queue, offset }];
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
