/**
 * From trace contexts to the messages of the trace topic.
 *
 * @module
 */

import { utf8Length } from "../wire/utf8.ts";
import { encodeContext, type TraceContext, type TraceRecord } from "./trace_records.ts";

/** The most characters of one message. Source: AsyncTraceDispatcher. */
const MAX_LENGTH = 128_000;
/** The most bytes of its keys: brokers take 32 767 of properties, and add some of their own. */
const MAX_KEYS_SIZE = 30_000;

/** A message of the trace topic. */
export interface TraceMessage {
  /** The records, one after the other. */
  readonly body: string;
  /** The keys by which it is found: ids and keys of the traced messages, each once, separated by spaces. */
  readonly keys: string;
}

/**
 * Packs contexts into messages: those of one topic together, in their order, divided where one would be too large.
 *
 * Java divides between contexts only, and after the limit is passed: what is too large then is lost there.
 */
export function packContexts(contexts: readonly TraceContext[]): TraceMessage[] {
  const packs = new Map<string, Pack>();
  for (const context of contexts) {
    let pack = packs.get(context.topic);
    if (pack === undefined) packs.set(context.topic, pack = new Pack());
    for (const record of encodeContext(context)) pack.add(record);
  }
  return [...packs.values()].flatMap((pack) => pack.finish());
}

/** The messages of one topic, while they are built. */
class Pack {
  #done: TraceMessage[] = [];
  #body = "";
  #keys = new Set<string>();
  #keysSize = 0;

  add(record: TraceRecord): void {
    const keys = keysOf(record);
    if (this.#body.length + record.text.length > MAX_LENGTH || this.#keysSize + this.#added(keys) > MAX_KEYS_SIZE) {
      this.#cut();
    }
    this.#body += record.text;
    this.#keysSize += this.#added(keys);
    for (const key of keys) this.#keys.add(key);
  }

  finish(): TraceMessage[] {
    this.#cut();
    return this.#done;
  }

  #cut(): void {
    if (this.#body === "") return;
    this.#done.push({ body: this.#body, keys: [...this.#keys].join(" ") });
    this.#body = "";
    this.#keys.clear();
    this.#keysSize = 0;
  }

  /** How many bytes the keys add that are not among them yet. */
  #added(keys: readonly string[]): number {
    return sizeOf(keys.filter((key) => !this.#keys.has(key)));
  }
}

/** All keys of a record; its id alone if they would not fit into a message. */
function keysOf({ messageId, keys }: TraceRecord): readonly string[] {
  const all = [messageId, ...keys];
  return sizeOf(all) <= MAX_KEYS_SIZE ? all : [messageId];
}

/** How many bytes keys have, with a space after each. */
function sizeOf(keys: readonly string[]): number {
  return keys.reduce((size, key) => size + utf8Length(key) + 1, 0);
}
