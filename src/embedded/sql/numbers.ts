/**
 * Numbers as Java parses and compares them: properties are strings, and Java decides which of them are numbers.
 *
 * @module
 */

import type { SqlNumber } from "./tree.ts";

const INT_MAX = 2_147_483_647n;
const LONG_MAX = 9_223_372_036_854_775_807n;

/** Parses a string as a number of a type; undefined if Java refuses it. */
export function parseNumber(text: string, type: SqlNumber["type"]): SqlNumber | undefined {
  if (type === "double") {
    const value = parseDouble(text);
    return value === undefined ? undefined : { type, value };
  }
  const value = parseWhole(text);
  if (value === undefined) return undefined;
  if (type === "long") return value >= -LONG_MAX - 1n && value <= LONG_MAX ? { type, value } : undefined;
  return value >= -INT_MAX - 1n && value <= INT_MAX ? { type, value: Number(value) } : undefined;
}

/** The value of a whole literal; undefined if it does not fit into 64 bits. */
export function wholeNumber(digits: string): SqlNumber | undefined {
  return parseNumber(digits, "int") ?? parseNumber(digits, "long");
}

/** More digits than this, without leading zeros, exceed 64 bits. */
const MOST_DIGITS = 19;

/** Digits of any script, with a sign or without. Source: Long.parseLong. */
function parseWhole(text: string): bigint | undefined {
  const ascii = /^[+-]?[0-9]+$/.test(text) ? text : asciiDigits(text);
  if (ascii === undefined) return undefined;
  const digits = ascii.replace(/^[+-]?0*/, "");
  if (digits.length > MOST_DIGITS) return undefined;
  const value = BigInt(digits);
  return ascii.startsWith("-") ? -value : value;
}

const DIGIT = /^\p{Nd}$/u;

/** The same with the digits 0 to 9; undefined for other characters. Source: Character.digit. */
function asciiDigits(text: string): string | undefined {
  if (!/^[+-]?\p{Nd}+$/u.test(text)) return undefined;
  let ascii = "";
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit <= 0x7f) {
      ascii += text[i];
      continue;
    }
    if (!DIGIT.test(text[i]!)) return undefined; // half of a digit beyond U+FFFF, which Java ignores
    // The digits of a script are consecutive, from its 0 on.
    let zero = unit;
    while (DIGIT.test(String.fromCharCode(zero - 1))) zero--;
    ascii += (unit - zero) % 10;
  }
  return ascii;
}

const DECIMAL = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fFdD]?$/;
const WORD = /^([+-]?)(NaN|Infinity)$/;
const HEXADECIMAL = /^([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?[pP]([+-]?[0-9]+)[fFdD]?$/;

/** Source: Double.valueOf. */
export function parseDouble(text: string): number | undefined {
  const trimmed = trim(text);
  if (DECIMAL.test(trimmed)) return Number(trimmed.replace(/[fFdD]$/, ""));
  const word = WORD.exec(trimmed);
  if (word !== null) return word[2] === "NaN" ? NaN : word[1] === "-" ? -Infinity : Infinity;
  const [, sign, whole = "", fraction = "", exponent] = HEXADECIMAL.exec(trimmed) ?? [];
  if (exponent === undefined || /^.?0[xX]\.?[pP]/.test(trimmed)) return undefined;
  const value = hexadecimal(whole + fraction, Number(exponent) - 4 * fraction.length);
  return sign === "-" ? -value : value;
}

/** More hexadecimal digits than a double distinguishes. */
const MOST_HEX_DIGITS = 32;

function hexadecimal(digits: string, exponent: number): number {
  const significant = digits.replace(/^0+/, "");
  if (significant === "") return 0;
  const first = significant.slice(0, MOST_HEX_DIGITS);
  const scale = exponent + 4 * (significant.length - first.length);
  const half = Math.trunc(scale / 2); // in two steps: the whole power may be too large where the product is not
  return Number(`0x${first}`) * 2 ** half * 2 ** (scale - half);
}

/** Without characters up to U+0020 at both ends. Source: String.trim. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) <= 0x20) start++;
  while (end > start && text.charCodeAt(end - 1) <= 0x20) end--;
  return text.slice(start, end);
}

/** Negative, 0 or positive as `left` is less, equal or greater. Source: the compareTo of Integer, Long and Double. */
export function compareNumbers(left: SqlNumber, right: SqlNumber): number {
  if (left.type === "double" || right.type === "double") {
    return compareDoubles(Number(left.value), Number(right.value));
  }
  return left.value < right.value ? -1 : left.value > right.value ? 1 : 0;
}

/** NaN is equal to itself and greater than all others, −0 is less than 0. Source: Double.compare. */
export function compareDoubles(left: number, right: number): number {
  if (left < right) return -1;
  if (left > right) return 1;
  if (Object.is(left, right)) return 0;
  return Number.isNaN(left) || Object.is(right, -0) ? 1 : -1;
}

/** The same number with the other sign; of whole numbers, 0 has none. */
export function negative(number: SqlNumber): SqlNumber {
  switch (number.type) {
    case "int":
      return { type: "int", value: 0 - number.value };
    case "long":
      return { type: "long", value: -number.value };
    case "double":
      return { type: "double", value: -number.value };
  }
}
