/**
 * From text to words. Source: the tokens of SelectorParser.jj.
 *
 * @module
 */

import { SqlError } from "./errors.ts";

/** A word that has a meaning of its own, whatever its case. */
export type Keyword =
  | "NOT"
  | "AND"
  | "OR"
  | "BETWEEN"
  | "IN"
  | "TRUE"
  | "FALSE"
  | "NULL"
  | "IS"
  | "CONTAINS"
  | "STARTSWITH"
  | "ENDSWITH";

/** Signs. */
export type Sign = "=" | "<>" | ">" | ">=" | "<" | "<=" | "(" | ")" | "," | "+" | "-";

/** What a word is. */
export type WordKind = Keyword | Sign | "a name" | "a text" | "a whole number" | "a decimal number" | "the end";

/** One word of an expression. */
export interface Word {
  /** What it is. */
  readonly kind: WordKind;
  /** As it is written. */
  readonly text: string;
  /** Where it begins, in UTF-16 units. */
  readonly at: number;
}

/** The words that every broker knows. */
const KEYWORDS = new Set(["NOT", "AND", "OR", "BETWEEN", "IN", "TRUE", "FALSE", "NULL", "IS"]);

/** The words that are names to brokers before 5.0. */
const KEYWORDS_SINCE_5 = new Set(["CONTAINS", "STARTSWITH", "ENDSWITH"]);

const BLANK = /[ \t\n\r\f]*/y;
/** Ends with its line: at the end of the text it is no comment but two signs. */
const LINE_COMMENT = /--[^\n\r]*[\n\r]/y;
const NAME = /[A-Za-z_$][A-Za-z0-9_$]*/y;
const DECIMAL = /(?:[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)/y;
/** A number with leading zeros is several words. */
const WHOLE = /(?:0|[1-9][0-9]*[lL]?)/y;
const TEXT = /'[^']*'(?:'[^']*')*/y;
const SIGN = /<>|>=|<=|[=<>(),+-]/y;

/** Reads one word after the other, none before it is asked for: a broker does not look behind the end either. */
export class Lexer {
  /** The whole expression. */
  readonly source: string;
  #hasTextOperators: boolean;
  #at = 0;

  /** Begins with the first word; `hasTextOperators` tells whether CONTAINS and its like are words, as since 5.0. */
  constructor(source: string, hasTextOperators: boolean) {
    this.source = source;
    this.#hasTextOperators = hasTextOperators;
  }

  /** The next word; `"the end"` again and again. Throws a {@linkcode SqlError} if there is none. */
  next(): Word {
    this.#skip();
    const at = this.#at;
    if (at === this.source.length) return { kind: "the end", text: "", at };
    const name = this.#match(NAME);
    if (name !== undefined) return { kind: this.#keyword(name) ?? "a name", text: name, at };
    const decimal = this.#match(DECIMAL);
    if (decimal !== undefined) return { kind: "a decimal number", text: decimal, at };
    const whole = this.#match(WHOLE);
    if (whole !== undefined) return { kind: "a whole number", text: whole, at };
    const text = this.#match(TEXT);
    if (text !== undefined) return { kind: "a text", text, at };
    const sign = this.#match(SIGN);
    if (sign !== undefined) return { kind: sign as Sign, text: sign, at };
    throw this.#unknown();
  }

  #keyword(name: string): Keyword | undefined {
    const word = name.toUpperCase();
    const isKnown = KEYWORDS.has(word) || this.#hasTextOperators && KEYWORDS_SINCE_5.has(word);
    return isKnown ? word as Keyword : undefined;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.source)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  /** Steps over blanks and comments. */
  #skip(): void {
    const { source } = this;
    for (;;) {
      this.#match(BLANK);
      if (this.#match(LINE_COMMENT) !== undefined) continue;
      if (!source.startsWith("/*", this.#at)) return;
      const end = source.indexOf("*/", this.#at + 2);
      if (end < 0) return;
      this.#at = end + 2;
    }
  }

  /** Complains of what begins no word: of the character at which no word is possible any more. */
  #unknown(): SqlError {
    const { source } = this;
    const begin = source.slice(this.#at, this.#at + 2);
    let at = this.#at;
    if (begin.startsWith("'") || begin === "/*") at = source.length - 1;
    else if (begin === "." || begin === "/" || /^[./]/.test(begin)) at = Math.min(at + 1, source.length - 1);
    const isLast = at === source.length - 1;
    const [line, column] = place(source, at);
    const [where, what] = isLast
      ? [/[\n\r]/.test(source[at]!) ? [line + 1, 0] : [line, column + 1], "<EOF>"]
      : [[line, column], `"${source[at]}" (${source.charCodeAt(at)})`];
    const after = source.slice(this.#at, isLast ? undefined : at);
    return new SqlError(
      "SQL_WORD",
      `Lexical error at line ${where[0]}, column ${where[1]}. Encountered ${what} after "${after.slice(0, 40)}"`,
    );
  }
}

/** The line and the column of a position, both from 1 on; a tab goes on to the next column that is a multiple of 8. */
export function place(source: string, at: number): [line: number, column: number] {
  const before = source.slice(0, at + 1).split(/\r\n|\n(?=[^])|\r(?=[^])/);
  const text = before.at(-1)!;
  let column = 0;
  for (const character of text) column = character === "\t" ? column + 8 - column % 8 : column + character.length;
  return [before.length, column];
}

/** The text that a literal means: without the quotes around it, with one quote for each two. */
export function unquote(literal: string): string {
  return literal.slice(1, -1).replaceAll("''", "'");
}
