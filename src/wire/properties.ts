/**
 * Message properties: named texts that travel as one text.
 *
 * Each is its name, the byte 0x01, its value and the byte 0x02. Source: MessageDecoder.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { type Problem, ValidationError } from "../errors.ts";
import { decodeUtf8, utf8Length } from "./utf8.ts";

/** The most bytes that all properties of a message may have together, as UTF-8. */
export const MAX_PROPERTIES_SIZE = 32_767;

const NAME_END = "\u0001";
const PAIR_END = "\u0002";
const NAME_END_BYTE = 1;
const PAIR_END_BYTE = 2;
const SEPARATOR_FREE = "text without the characters U+0001 and U+0002";

/**
 * Writes properties as one text, in the order given. Pairs with an empty value are left out: no reader would see them.
 *
 * @throws {ValidationError} if a name is empty, a name or value holds 0x01 or 0x02, or the text has more than 32 767
 *   bytes as UTF-8
 */
export function encodeProperties(entries: Iterable<readonly [string, string]>): string {
  const problems: Problem[] = [];
  let text = "";
  for (const [name, value] of entries) {
    if (name === "") problems.push({ field: "a property's name", value: name, allowed: "at least one character" });
    if (hasSeparator(name)) problems.push({ field: "a property's name", value: name, allowed: SEPARATOR_FREE });
    if (hasSeparator(value)) problems.push({ field: `property "${name}"`, value, allowed: SEPARATOR_FREE });
    if (value !== "") text += propertyPair(name, value);
  }
  const size = text.length * 3 <= MAX_PROPERTIES_SIZE ? 0 : utf8Length(text); // 3: the most bytes of a UTF-16 unit
  if (size > MAX_PROPERTIES_SIZE) {
    problems.push({ field: "the size of all properties", value: size, allowed: `up to ${MAX_PROPERTIES_SIZE} bytes` });
  }
  if (problems.length > 0) throw new ValidationError("encode properties", problems);
  return text;
}

/** One property of the text; neither name nor value may be empty or hold U+0001 or U+0002. */
export function propertyPair(name: string, value: string): string {
  return name + NAME_END + value + PAIR_END;
}

function hasSeparator(text: string): boolean {
  return text.includes(NAME_END) || text.includes(PAIR_END);
}

/**
 * Reads properties, as RocketMQ does: pieces without a name or without a value are skipped, of several values of one
 * name the last counts, and the last 0x02 may be missing.
 */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  let nameEnd = text.indexOf(NAME_END);
  for (let start = 0; start < text.length;) {
    if (nameEnd < start) nameEnd = text.indexOf(NAME_END, start);
    if (nameEnd < 0) break; // no pair from here on
    let end = text.indexOf(PAIR_END, start);
    if (end < 0) end = text.length;
    if (nameEnd > start && nameEnd + 1 < end) properties.set(text.slice(start, nameEnd), text.slice(nameEnd + 1, end));
    start = end + 1;
  }
  return properties;
}

/**
 * Finds one property in `bytes[start, end)` and decodes nothing but its value.
 *
 * It looks from the end on: the last value of a name is the one that counts.
 *
 * @param name the name as UTF-8
 */
export function findProperty(bytes: Buffer, start: number, end: number, name: Uint8Array): string | undefined {
  const size = name.length;
  let pairEnd = end;
  if (pairEnd > start && bytes[pairEnd - 1] === PAIR_END_BYTE) pairEnd--;
  while (pairEnd > start) {
    let at = pairEnd;
    while (at > start && bytes[at - 1] !== PAIR_END_BYTE) at--;
    if (pairEnd - at > size + 1 && bytes[at + size] === NAME_END_BYTE && startsWith(bytes, at, name)) {
      return decodeUtf8(bytes, at + size + 1, pairEnd);
    }
    pairEnd = at - 1;
  }
  return undefined;
}

function startsWith(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    if (bytes[at + i] !== name[i]) return false;
  }
  return true;
}
