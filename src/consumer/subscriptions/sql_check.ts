/**
 * Finds what brokers would misread in an SQL92 expression: they take what they understand from its beginning, and ignore
 * the rest. What they refuse themselves is left to them. Source: SelectorParser.jj.
 *
 * @module
 */

/** What works, for errors. */
const WORKS = "comparisons (= <> < <= > >=), BETWEEN, IN, IS NULL, STARTSWITH, ENDSWITH, CONTAINS, NOT, AND, OR, ()";

/** Blanks and comments. */
const BLANK = /(?:\s|--[^\n\r]*[\n\r]|\/\*[^]*?\*\/)*/y;
/** A name, a number, a text, a sign, or any other character. */
const TOKEN =
  /(?:([A-Za-z_$][\w$]*)|(\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|0|[1-9]\d*[lL]?)|('[^']*'(?:'[^']*')*)|(<>|>=|<=|[=<>(),+-])|(\S))/y;

const KEYWORD = /^(?:NOT|AND|OR|BETWEEN|IN|TRUE|FALSE|NULL|IS|CONTAINS|STARTSWITH|ENDSWITH)$/i;
const ARITHMETIC = /^[+*/%-]$/;
/** Deeper expressions are left to the broker. */
const MOST_DEPTH = 200;

interface Token {
  /** A keyword or sign, `name`, `value`, `text`, or `?` for a character of no token. */
  readonly kind: string;
  readonly text: string;
  readonly at: number;
}

/** Ends the reading where a broker refuses the expression. */
class Refused extends Error {}

/** What is wrong with an expression that a broker would misread, as the end of a sentence; undefined if nothing is. */
export function misreadPart(expression: string): string | undefined {
  const reader = new SqlReader(expression);
  let isRefused = false;
  try {
    reader.or();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    isRefused = true;
  }
  const { next, last } = reader;
  if (next === undefined) return undefined;
  if (next.text.toUpperCase() === "LIKE") {
    return `brokers do not know LIKE: use STARTSWITH 'x', ENDSWITH 'x' or CONTAINS 'x' for LIKE 'x%'; allowed are ${WORKS}`;
  }
  if (ARITHMETIC.test(next.text) && last !== undefined && ["name", "value", "text", ")"].includes(last.kind)) {
    return `brokers do not calculate, found "${next.text}" at ${next.at + 1}; allowed are ${WORKS}`;
  }
  if (isRefused || next.kind === "?") return undefined;
  const rest = expression.slice(next.at, next.at + 40);
  return `brokers ignore what follows the first ${next.at} characters: ${JSON.stringify(rest)}; allowed are ${WORKS}`;
}

/** Reads as much of an expression as a broker does. */
class SqlReader {
  #source: string;
  #at = 0;
  #depth = 0;
  /** The token that was not read; undefined at the end. */
  next: Token | undefined;
  /** The one before it. */
  last: Token | undefined;

  constructor(source: string) {
    this.#source = source;
    this.#advance();
  }

  or(): void {
    do this.#and(); while (this.#takes("OR"));
  }

  #and(): void {
    do this.#equality(); while (this.#takes("AND"));
  }

  #equality(): void {
    this.#comparison();
    for (;;) {
      if (this.#takes("=") || this.#takes("<>")) this.#comparison();
      else if (this.#takes("IS")) {
        this.#takes("NOT");
        this.#take("NULL");
      } else return;
    }
  }

  #comparison(): void {
    this.#unary();
    for (;;) {
      if ([">", ">=", "<", "<="].some((sign) => this.#takes(sign))) this.#unary();
      else if (!this.#named()) return;
    }
  }

  /** `[NOT] BETWEEN … | IN (…) | CONTAINS …`; whether there is one. */
  #named(): boolean {
    const negated = this.#takes("NOT");
    if (this.#takes("BETWEEN")) {
      this.#unary();
      this.#take("AND");
      this.#unary();
    } else if (this.#takes("IN")) {
      this.#take("(");
      do this.#take("text"); while (this.#takes(","));
      this.#take(")");
    } else if (["CONTAINS", "STARTSWITH", "ENDSWITH"].some((word) => this.#takes(word))) this.#take("text");
    else if (negated) throw new Refused();
    else return false;
    return true;
  }

  #unary(): void {
    if (++this.#depth > MOST_DEPTH) {
      this.next = undefined;
      throw new Refused();
    }
    if (this.#takes("+") || this.#takes("-") || this.#takes("NOT")) this.#unary();
    else if (this.#takes("(")) {
      this.or();
      this.#take(")");
    } else if (!["name", "text", "value"].some((kind) => this.#takes(kind))) throw new Refused();
    this.#depth--;
  }

  #takes(kind: string): boolean {
    if (this.next?.kind !== kind) return false;
    this.#advance();
    return true;
  }

  #take(kind: string): void {
    if (!this.#takes(kind)) throw new Refused();
  }

  #advance(): void {
    this.last = this.next;
    BLANK.lastIndex = this.#at;
    BLANK.exec(this.#source);
    TOKEN.lastIndex = BLANK.lastIndex;
    const found = TOKEN.exec(this.#source);
    this.next = undefined;
    if (found === null) return;
    this.#at = TOKEN.lastIndex;
    const [, name, number, text, sign, other] = found;
    const token = name ?? number ?? text ?? sign ?? other!;
    const at = this.#at - token.length;
    const word = name?.toUpperCase();
    const kind = word === undefined
      ? number !== undefined ? "value" : text !== undefined ? "text" : sign ?? "?"
      : !KEYWORD.test(word)
      ? "name"
      : ["TRUE", "FALSE", "NULL"].includes(word) && this.last?.kind !== "IS" && this.last?.kind !== "NOT"
      ? "value"
      : word;
    this.next = { kind, text: token, at };
  }
}
