/**
 * Reads the JSON of RocketMQ's servers, which their library (fastjson) writes a little differently from everyone's.
 *
 * | what they write | what comes out |
 * |---|---|
 * | integer keys without quotes: `{0:"a",-1:"b"}` | an object, its keys as text |
 * | objects as keys: `{{"queueId":0}:5}` | an array of pairs: `[[{ queueId: 0 }, 5]]` |
 * | integers beyond 2^53 | a `bigint` |
 *
 * An empty map is `{}` whatever its keys would be, and comes out as an empty object: use {@linkcode pairsOf} where
 * keys are objects. Everything else is ordinary JSON, strictly.
 *
 * A text has {@linkcode MAX_VALUES} values at most, so that reading it takes little time: what costs is their number.
 *
 * Source: RemotingSerializable.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";

/** What {@linkcode parseJson} returns. */
export type JsonValue = null | boolean | number | bigint | string | JsonValue[] | JsonObject;

/** A JSON object. It has no prototype: no key can be mistaken for something inherited. */
export interface JsonObject {
  /** The member of that name; of several of one name, the last. */
  [name: string]: JsonValue;
}

/** How deep values may be nested; RocketMQ's own reach about ten. */
const MAX_DEPTH = 100;

/**
 * The most values of a text, those inside of others included: a list of 4 096 queues with their times has half of them.
 */
export const MAX_VALUES = 65_536;

/** The most bytes of a body of JSON, unless its request allows more. */
export const MAX_JSON_SIZE: number = 1024 * 1024;
/** The most bytes of a body of JSON that lists queues. */
export const MAX_QUEUE_LIST_SIZE: number = 4 * 1024 * 1024;

/** Integers up to this many digits are read by hand: they are safe. */
const SAFE_DIGITS = 15;
/** Objects take memory for all places up to their largest index: those with one above this are few. */
const LARGEST_DENSE_INDEX = 15;
const MOST_SPARSE_OBJECTS = 1_024;

/** Longer integers than this many characters are refused: none of Java's types is so wide, and reading gets slow. */
const LONGEST_INTEGER = 20;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const ZERO = 0x30;
const DECIMAL = /^\d{1,10}$/;

const decoder = new TextDecoder();

const WORDS: readonly (readonly [string, boolean | null])[] = [["true", true], ["false", false], ["null", null]];
/**
 * Reads a JSON text.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if it is none, or has more than {@linkcode MAX_VALUES} values: the message
 * names the position, in UTF-16 units from 0
 */
export function parseJson(text: string): JsonValue {
  return new Parser(text, "JSON").whole();
}

/** Whose body is read. */
export interface JsonBodyOf {
  /** The request's name, for errors. */
  readonly name: string;
  /** The most bytes that its bodies of JSON have. @default {MAX_JSON_SIZE} */
  readonly maxJsonSize?: number;
}

/**
 * Reads the JSON body of a request, or of an answer to it.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` as {@linkcode parseJson}, and if it is larger than allowed; names the request
 */
export function parseBody(body: Uint8Array, { name, maxJsonSize = MAX_JSON_SIZE }: JsonBodyOf): JsonValue {
  if (body.length <= maxJsonSize) return new Parser(decoder.decode(body), `the body of ${name}`).whole();
  const text = `Cannot read the body of ${name}: it has ${body.length} bytes, allowed are ${maxJsonSize}`;
  throw new NetworkError(text, "", "MALFORMED_FRAME");
}

/**
 * The pairs of a map whose keys are objects, as {@linkcode parseJson} read it; none if the map was empty or missing.
 */
export function pairsOf(map: JsonValue | undefined): [key: JsonObject, value: JsonValue][] {
  return Array.isArray(map) ? map.filter(isPair) : [];
}

function isPair(value: JsonValue): value is [JsonObject, JsonValue] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [key] = value;
  return typeof key === "object" && key !== null && !Array.isArray(key);
}

class Parser {
  readonly #text: string;
  readonly #what: string;
  #at = 0;
  #depth = 0;
  #values = 0;
  #sparseObjects = 0;

  // Sticky: they match where `lastIndex` stands or not at all. One set per parser, as `lastIndex` is its state.
  readonly #number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
  readonly #integer = /-?(?:0|[1-9]\d*)/y;
  readonly #fourHex = /[0-9a-fA-F]{4}/y;

  constructor(text: string, what: string) {
    this.#text = text;
    this.#what = what;
  }

  whole(): JsonValue {
    const value = this.#value();
    if (this.#at < this.#text.length) throw this.#unexpected("the end");
    return value;
  }

  /** Reads a value and the space around it. */
  #value(): JsonValue {
    if (++this.#depth > MAX_DEPTH) throw this.#malformed(`it is nested more than ${MAX_DEPTH} deep`);
    this.#requireFew(++this.#values, MAX_VALUES, "values");
    this.#skipSpace();
    const value = this.#bareValue();
    this.#skipSpace();
    this.#depth--;
    return value;
  }

  #bareValue(): JsonValue {
    switch (this.#text[this.#at]) {
      case "{":
        return this.#map();
      case "[":
        return this.#array();
      case '"':
        return this.#string();
    }
    const short = this.#shortInteger();
    if (short !== undefined) return short;
    const number = this.#match(this.#number);
    if (number !== null) return this.#numberOf(number);
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    throw this.#unexpected("a value");
  }

  /** A number of few digits and nothing else; undefined if it is not so simple. */
  #shortInteger(): number | undefined {
    const text = this.#text;
    let value = 0;
    let at = this.#at;
    for (let digit = text.charCodeAt(at) - ZERO; digit >= 0 && digit <= 9; digit = text.charCodeAt(++at) - ZERO) {
      value = value * 10 + digit;
    }
    const digits = at - this.#at;
    const isWhole = digits > 0 && digits <= SAFE_DIGITS && !/[.eE]/.test(text[at] ?? "");
    if (!isWhole || (digits > 1 && text.charCodeAt(this.#at) === ZERO)) return undefined;
    this.#at = at;
    return value;
  }

  #numberOf([text, fraction, exponent]: RegExpExecArray): number | bigint {
    const value = Number(text);
    if (fraction !== undefined || exponent !== undefined || Number.isSafeInteger(value)) return value;
    if (text.length > LONGEST_INTEGER) throw this.#malformed(`it has an integer of ${text.length} characters`);
    return BigInt(text);
  }

  #array(): JsonValue[] {
    const values: JsonValue[] = [];
    this.#at++;
    this.#skipSpace();
    if (this.#skip("]")) return values;
    do values.push(this.#value()); while (this.#skip(","));
    if (!this.#skip("]")) throw this.#unexpected('"," or "]"');
    return values;
  }

  #map(): JsonObject | JsonValue[] {
    this.#at++;
    this.#skipSpace();
    return this.#text[this.#at] === "{" ? this.#pairs() : this.#object();
  }

  #object(): JsonObject {
    const object: JsonObject = Object.create(null);
    let isSparse = false;
    if (this.#skip("}")) return object;
    do {
      this.#skipSpace();
      const key = this.#key();
      this.#skipSpace();
      if (!this.#skip(":")) throw this.#unexpected('":"');
      if (!isSparse && isLargeIndex(key)) {
        isSparse = true;
        this.#requireFew(++this.#sparseObjects, MOST_SPARSE_OBJECTS, "objects with large numbers as names");
      }
      object[key] = this.#value();
    } while (this.#skip(","));
    if (!this.#skip("}")) throw this.#unexpected('"," or "}"');
    return object;
  }

  #key(): string {
    if (this.#text[this.#at] === '"') return this.#string();
    const integer = this.#match(this.#integer);
    if (integer === null) throw this.#unexpected("a key");
    return integer[0];
  }

  #pairs(): JsonValue[] {
    const pairs: JsonValue[] = [];
    do {
      this.#skipSpace();
      if (this.#text[this.#at] !== "{") throw this.#unexpected("an object as key, like the keys before");
      const key = this.#value();
      if (!this.#skip(":")) throw this.#unexpected('":"');
      pairs.push([key, this.#value()]);
    } while (this.#skip(","));
    if (!this.#skip("}")) throw this.#unexpected('"," or "}"');
    return pairs;
  }

  #string(): string {
    const start = ++this.#at;
    const end = this.#endOfString(start);
    if (this.#text.charCodeAt(end) === QUOTE) {
      this.#at = end + 1;
      return this.#text.slice(start, end);
    }
    return this.#escaped(start, end) ?? this.#brokenString();
  }

  /** A string with escapes; undefined if it is none. */
  #escaped(start: number, firstEscape: number): string | undefined {
    const text = this.#text;
    let end = firstEscape;
    while (text.charCodeAt(end) === BACKSLASH) end = this.#endOfString(end + 2);
    if (text.charCodeAt(end) !== QUOTE) return undefined;
    try {
      const value: string = JSON.parse(text.slice(start - 1, end + 1));
      this.#at = end + 1;
      return value;
    } catch {
      return undefined;
    }
  }

  /** Says where a string is broken. */
  #brokenString(): never {
    while (true) {
      this.#at = this.#endOfString(this.#at);
      if (!this.#skip("\\")) throw this.#unexpected("the rest of a string");
      if (this.#skip("u")) {
        if (this.#match(this.#fourHex) === null) throw this.#unexpected("four hexadecimal digits");
      } else if (!/["\\/bfnrt]/.test(this.#text[this.#at++] ?? "")) {
        this.#at--;
        throw this.#unexpected("an escape");
      }
    }
  }

  /** Where a string stops being plain text, from a position on. */
  #endOfString(start: number): number {
    const text = this.#text;
    let at = start;
    for (let unit = text.charCodeAt(at); unit >= SPACE && unit !== QUOTE && unit !== BACKSLASH;) {
      unit = text.charCodeAt(++at);
    }
    return at;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.#at = pattern.lastIndex;
    return found;
  }

  #skip(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    const text = this.#text;
    while (true) {
      const unit = text.charCodeAt(this.#at);
      if (unit > SPACE || (unit !== SPACE && unit !== 0x0a && unit !== 0x0d && unit !== 0x09)) return;
      this.#at++;
    }
  }

  #requireFew(count: number, most: number, what: string): void {
    if (count > most) throw this.#malformed(`it has more than ${most} ${what}`);
  }

  #unexpected(allowed: string): NetworkError {
    const found = this.#at < this.#text.length ? JSON.stringify(this.#text[this.#at]) : "the end";
    return this.#malformed(`expected ${allowed}, found ${found}`);
  }

  #malformed(problem: string): NetworkError {
    return new NetworkError(`Cannot read ${this.#what} at position ${this.#at}: ${problem}`, "", "MALFORMED_FRAME");
  }
}

function isLargeIndex(key: string): boolean {
  return DECIMAL.test(key) && Number(key) > LARGEST_DENSE_INDEX;
}
