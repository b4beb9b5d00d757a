/**
 * Splits an expression into tokens. Source: the tokens of SelectorParser.jj.
 *
 * @module
 */

import { SqlError } from "./errors.ts";

/** A keyword, in any case. */
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

/** Operators and punctuation. */
export type Sign = "=" | "<>" | ">" | ">=" | "<" | "<=" | "(" | ")" | "," | "+" | "-";

/** The kind of a token. */
export type TokenKind = Keyword | Sign | "a name" | "a text" | "a whole number" | "a decimal number" | "the end";

/** One token of an expression. */
export interface Token {
  /** Its kind. */
  readonly kind: TokenKind;
  /** Its text. */
  readonly text: string;
  /** Its position, in UTF-16 units. */
  readonly at: number;
}

/** The keywords of every broker. */
const KEYWORDS = new Set(["NOT", "AND", "OR", "BETWEEN", "IN", "TRUE", "FALSE", "NULL", "IS"]);

/** The keywords that are names before 5.0. */
const KEYWORDS_SINCE_5 = new Set(["CONTAINS", "STARTSWITH", "ENDSWITH"]);

const BLANK = /[ \t\n\r\f]*/y;
const LINE_END = /[\n\r]/g;
const NAME = /[A-Za-z_$][A-Za-z0-9_$]*/y;
const DECIMAL = /(?:[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)/y;
/** A number with leading zeros is several tokens. */
const WHOLE = /(?:0|[1-9][0-9]*[lL]?)/y;
const TEXT = /'[^']*'(?:'[^']*')*/y;
const SIGN = /<>|>=|<=|[=<>(),+-]/y;

/** Reads one token after the other, when it is requested: a broker does not read beyond the end either. */
export class Lexer {
  /** The whole expression. */
  readonly source: string;
  #hasTextOperators: boolean;
  #at = 0;
  /** The end of the current line. It is searched once per line, or a row of signs would take quadratic time. */
  #lineEnd = -1;

  /** Begins with the first token; with `hasTextOperators` CONTAINS and the like are keywords, as since 5.0. */
  constructor(source: string, hasTextOperators: boolean) {
    this.source = source;
    this.#hasTextOperators = hasTextOperators;
  }

  /** The next token, at the end always `"the end"`; throws a {@linkcode SqlError} for characters of no token. */
  next(): Token {
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

  /** Skips blanks and comments. */
  #skip(): void {
    const { source } = this;
    for (;;) {
      this.#match(BLANK);
      if (this.#skipLine()) continue;
      if (!source.startsWith("/*", this.#at)) return;
      const end = source.indexOf("*/", this.#at + 2);
      if (end < 0) return;
      this.#at = end + 2;
    }
  }

  /** Skips a comment up to the end of its line; without a line end it is no comment but two signs. */
  #skipLine(): boolean {
    if (!this.source.startsWith("--", this.#at)) return false;
    if (this.#lineEnd < this.#at) {
      LINE_END.lastIndex = this.#at;
      this.#lineEnd = LINE_END.exec(this.source)?.index ?? Infinity;
    }
    if (this.#lineEnd === Infinity) return false;
    this.#at = this.#lineEnd + 1;
    return true;
  }

  /** Throws the error of characters of no token: at the first character that no token allows. */
  #unknown(): SqlError {
    const { source } = this;
    const begin = this.#at;
    const last = source.length - 1;
    const isOpen = source[begin] === "'" || source.startsWith("/*", begin);
    const at = isOpen ? last : Math.min(last, begin + (/[./]/.test(source[begin]!) ? 1 : 0));
    const [line, column] = placeOf(source, at);
    // A broker reads one character further, and reports a missing one as the problem.
    const isLineEnd = at === last && /[\n\r]/.test(source[at]!);
    const place = at < last ? [line, column] : isLineEnd ? [line + 1, 0] : [line, column + 1];
    const found = at < last ? `"${source[at]}" (${source.charCodeAt(at)}),` : "<EOF>";
    const after = source.slice(begin, at).slice(0, 40);
    return new SqlError(
      "SQL_WORD",
      `Lexical error at line ${place[0]}, column ${place[1]}.  Encountered: ${found} after : "${after}"`,
    );
  }
}

/** The line and the column of a character, both from 1 on; a tab extends to the next multiple of 8. */
export function placeOf(source: string, at: number): [line: number, column: number] {
  let line = 1;
  let column = 0;
  for (let i = 0; i <= at; i++) {
    const before = source[i - 1];
    if (before === "\n" || before === "\r" && source[i] !== "\n") {
      line++;
      column = 0;
    }
    column += source[i] === "\t" ? 8 - column % 8 : 1;
  }
  return [line, column];
}

/** The value of a string literal: without the outer quotes, with one quote for each two. */
export function unquote(literal: string): string {
  return literal.slice(1, -1).replaceAll("''", "'");
}
