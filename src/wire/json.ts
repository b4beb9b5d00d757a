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
 * Source: RemotingSerializable.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";

/** What {@linkcode parseJson} gives. */
export type JsonValue = null | boolean | number | bigint | string | JsonValue[] | JsonObject;

/** A JSON object. It has no prototype: no key can be mistaken for something inherited. */
export interface JsonObject {
  /** The member of that name; of several of one name, the last. */
  [name: string]: JsonValue;
}

/** How deep values may be nested; RocketMQ's own reach about ten. */
const MAX_DEPTH = 100;

/** Longer integers than this many characters are refused: none of Java's types is so wide, and reading gets slow. */
const LONGEST_INTEGER = 40;

const WORDS: readonly (readonly [string, boolean | null])[] = [["true", true], ["false", false], ["null", null]];
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/**
 * Reads a JSON text.
 *
 * @throws {NetworkError} `MALFORMED_FRAME` if it is none: the message names the position, in UTF-16 units from 0
 */
export function parseJson(text: string): JsonValue {
  return new Parser(text).whole();
}

/**
 * The pairs of a map whose keys are objects, as {@linkcode parseJson} read it; none if the map was empty or missing.
 */
export function pairsOf(map: JsonValue | undefined): [key: JsonObject, value: JsonValue][] {
  return Array.isArray(map) ? map as [JsonObject, JsonValue][] : [];
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  // Sticky: they match where `lastIndex` stands or not at all. One set per parser, as `lastIndex` is its state.
  readonly #space = /[ \t\n\r]*/y;
  readonly #number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
  readonly #integer = /-?(?:0|[1-9]\d*)/y;
  // deno-lint-ignore no-control-regex
  readonly #plainText = /[^"\\\u0000-\u001f]*/y;
  readonly #fourHex = /[0-9a-fA-F]{4}/y;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): JsonValue {
    const value = this.#value();
    if (this.#at < this.#text.length) throw this.#unexpected("the end");
    return value;
  }

  /** Reads a value and the space around it. */
  #value(): JsonValue {
    if (++this.#depth > MAX_DEPTH) throw this.#malformed(`it is nested more than ${MAX_DEPTH} deep`);
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
    const number = this.#match(this.#number);
    if (number !== null) return this.#numberOf(number);
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    throw this.#unexpected("a value");
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
    if (this.#skip("}")) return object;
    do {
      this.#skipSpace();
      const key = this.#key();
      this.#skipSpace();
      if (!this.#skip(":")) throw this.#unexpected('":"');
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
    this.#at++;
    let value = "";
    while (true) {
      value += this.#match(this.#plainText)![0];
      if (this.#skip('"')) return value;
      if (!this.#skip("\\")) throw this.#unexpected("the rest of a string");
      value += this.#escape();
    }
  }

  #escape(): string {
    const plain = ESCAPES[this.#text[this.#at] ?? ""];
    if (plain !== undefined) {
      this.#at++;
      return plain;
    }
    if (!this.#skip("u")) throw this.#unexpected("an escape");
    const digits = this.#match(this.#fourHex);
    if (digits === null) throw this.#unexpected("four hexadecimal digits");
    return String.fromCharCode(parseInt(digits[0], 16));
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
    this.#match(this.#space);
  }

  #unexpected(wanted: string): NetworkError {
    const found = this.#at < this.#text.length ? JSON.stringify(this.#text[this.#at]) : "the end";
    return this.#malformed(`expected ${wanted}, found ${found}`);
  }

  #malformed(problem: string): NetworkError {
    return new NetworkError(`Cannot read JSON at position ${this.#at}: ${problem}`, "", "MALFORMED_FRAME");
  }
}
