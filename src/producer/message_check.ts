/**
 * Checking a message before anything of it is sent: all problems are reported at once.
 *
 * @module
 */

import type { Problem } from "../errors.ts";
import { MAX_TOPIC_LENGTH } from "../options.ts";
import { meant, unknownName } from "../option_names.ts";
import { encodeUtf8 } from "../wire/utf8.ts";
import { JsonBody, type OutgoingMessage } from "./outgoing.ts";
import { isSendable, reservedName } from "./reserved_names.ts";

const EMPTY = new Uint8Array(0);

const TOPIC = /^[%|a-zA-Z0-9_-]+$/;
/** The separators of properties in a stored message. */
// deno-lint-ignore no-control-regex
const SEPARATOR = /[\u0001\u0002]/;
// deno-lint-ignore no-control-regex
const NOT_IN_TAG = /[|\u0001\u0002]|^\s|\s$/;
// deno-lint-ignore no-control-regex
const NOT_IN_KEY = /[\s\u0001\u0002]/;

const FIELDS: ReadonlySet<string> = new Set(["topic", "body", "tags", "keys", "properties", "flag"]);

/** Receives the problems of one message; `field` is the name in the message. */
export type ReportProblem = (field: string, value: unknown, allowed: string, problem?: string) => void;

/** Adds problems to a list; `prefix` returns what precedes their fields: `"messages[3]."`. */
export function reportTo(problems: Problem[], prefix = () => ""): ReportProblem {
  return (field, value, allowed, problem) => {
    const place = `${prefix()}${field}`;
    const where = prefix() === "" || problem === undefined ? "" : `${place}: `;
    problems.push({ field: place, value, allowed, ...(problem === undefined ? {} : { problem: where + problem }) });
  };
}

/** Checks a message; returns its body as bytes, which are valid only if no problem was reported. */
export function checkMessage(message: OutgoingMessage, maxBodySize: number, report: ReportProblem): Uint8Array {
  const given: unknown = message;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    const allowed = 'an object like { topic: "orders", body: "paid" }';
    if (Array.isArray(given)) report("message", given, allowed, "message is an array, send several by sendBatch([…])");
    else report("message", given, allowed);
    return EMPTY;
  }
  for (const name in given) { // without a list of the names, which every message would need
    if (!FIELDS.has(name) && Object.hasOwn(given, name)) {
      const value = (given as Record<string, unknown>)[name];
      const fields = [...FIELDS];
      const allowed = `one of the fields ${fields.join(", ")}; further data belongs in properties`;
      report(name, value, allowed, `${unknownName("field", name, meant(name, fields))}; allowed is ${allowed}`);
    }
  }
  checkTopic(message.topic, report);
  if (message.tags !== undefined) checkTags(message.tags, report);
  if (message.keys !== undefined) checkKeys(message.keys, report);
  if (message.properties !== undefined) checkProperties(message.properties, report);
  const { flag = 0 } = message;
  if (flag !== (flag | 0)) report("flag", flag, "an integer from -2147483648 to 2147483647");
  return checkBody(message.body, maxBodySize, report);
}

/** The last valid topic: most messages have the topic of the one before. */
let lastTopic: unknown;

function checkTopic(topic: unknown, report: ReportProblem): void {
  if (topic === lastTopic && topic !== undefined) return;
  if (typeof topic !== "string" || topic.length > MAX_TOPIC_LENGTH || !TOPIC.test(topic)) {
    report("topic", topic, `1 to ${MAX_TOPIC_LENGTH} characters of % | a-z A-Z 0-9 _ -`);
  } else if (!isSendable(topic)) {
    report("topic", topic, "any topic but those of the brokers themselves: send to a topic of your own");
  } else lastTopic = topic;
}

function checkBody(body: unknown, maxSize: number, report: ReportProblem): Uint8Array {
  const bytes = bytesOf(body);
  if (bytes === undefined) {
    report("body", body, "a string, a Uint8Array, or json(value)");
    return EMPTY;
  }
  if (bytes.length === 0) {
    report("body", body, "at least one byte: brokers refuse empty bodies");
  } else if (bytes.length > maxSize) {
    report(
      "the size of body",
      bytes.length,
      `up to maxMessageSize, ${maxSize} bytes: send less, or raise it here and at the brokers`,
    );
  }
  return bytes;
}

function bytesOf(body: unknown): Uint8Array | undefined {
  if (typeof body === "string") return encodeUtf8(body);
  if (body instanceof Uint8Array) return body;
  return JsonBody.is(body) ? encodeUtf8(body.text) : undefined;
}

function checkTags(tags: unknown, report: ReportProblem): void {
  if (typeof tags === "string" && tags !== "" && !NOT_IN_TAG.test(tags)) return;
  report("tags", tags, "one tag: text without |, U+0001, U+0002 and whitespace at its ends; omit it for none");
}

function checkKeys(keys: unknown, report: ReportProblem): void {
  const list: readonly unknown[] = Array.isArray(keys) ? keys : [keys];
  for (const key of list) {
    if (typeof key === "string" && key !== "" && !NOT_IN_KEY.test(key)) continue;
    report("keys", key, "strings without whitespace, U+0001 and U+0002; several keys are an array");
  }
}

function checkProperties(properties: unknown, report: ReportProblem): void {
  // A Map or an array would count as an object without properties.
  if (typeof properties !== "object" || properties === null || Symbol.iterator in properties) {
    report("properties", properties, "an object of strings by name; Object.fromEntries(map) converts a Map");
    return;
  }
  for (const [name, value] of Object.entries(properties)) {
    const allowed = propertyProblem(name, value);
    if (allowed !== undefined) report(`properties.${name}`, value, allowed);
  }
}

/** What is allowed instead of a property; undefined if it is allowed. */
export function propertyProblem(name: string, value: unknown): string | undefined {
  if (name === "" || SEPARATOR.test(name)) return "a name of at least one character, without U+0001 and U+0002";
  const reserved = reservedName(name);
  if (reserved !== undefined) return reserved;
  if (typeof value === "string" && value !== "" && !SEPARATOR.test(value)) return undefined;
  return "a text of at least one character, without U+0001 and U+0002: brokers lose empty ones";
}
