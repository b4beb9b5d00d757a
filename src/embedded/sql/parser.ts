/**
 * Parses tokens into a tree. Source: the grammar of SelectorParser.jj.
 *
 * ```text
 * or         = and { OR and }
 * and        = equality { AND equality }
 * equality   = comparison { ( "=" | "<>" ) comparison | IS [ NOT ] NULL }
 * comparison = unary { ( ">" | ">=" | "<" | "<=" ) unary
 *                    | [ NOT ] BETWEEN unary AND unary
 *                    | [ NOT ] IN "(" text { "," text } ")"
 *                    | [ NOT ] ( CONTAINS | STARTSWITH | ENDSWITH ) text }
 * unary      = ( "+" | "-" | NOT ) unary | literal | name | "(" or ")"
 * ```
 *
 * What follows the expression is ignored, except for its first token: `a = 1 b = 2` means `a = 1`.
 *
 * @module
 */

import { between, condition, decimal, equal, isIn, isUnknown, not, order, whole } from "./build.ts";
import { SqlError } from "./errors.ts";
import { Lexer, placeOf, type Token, type TokenKind, unquote } from "./lexer.ts";
import type { OrderOperator, SqlNode, TextOperator } from "./tree.ts";

/** The longest expression, in UTF-16 units. */
export const MAX_LENGTH = 65_536;

/** How deep brackets, signs and NOT may be nested, and how many comparisons may follow each other. */
export const MAX_DEPTH = 500;

/** Parses an expression; throws a {@linkcode SqlError} if a broker refuses it. */
export function parse(source: string, hasTextOperators: boolean): SqlNode {
  if (source.length > MAX_LENGTH) {
    throw tooLarge(`${source.length} characters, ${MAX_LENGTH} are allowed`);
  }
  return new Parser(new Lexer(source, hasTextOperators)).parse();
}

/** A choice by the next token: the allowed tokens, and how each continues. */
class Parser {
  #lexer: Lexer;
  #ahead: Token | undefined;
  #depth = 0;
  #links = 0;
  /** The tokens that are allowed in place of the next one. */
  #expected = new Set<TokenKind>();

  constructor(lexer: Lexer) {
    this.#lexer = lexer;
  }

  parse(): SqlNode {
    return condition(this.#or());
  }

  #or(): SqlNode {
    let node = this.#and();
    const operands = [node];
    while (this.#takes("OR")) {
      const right = this.#and();
      if (operands.length === 1) operands[0] = condition(node);
      operands.push(condition(right));
      node = { kind: "or", operands };
    }
    return node;
  }

  #and(): SqlNode {
    let node = this.#equality();
    const operands = [node];
    while (this.#takes("AND")) {
      const right = this.#equality();
      if (operands.length === 1) operands[0] = condition(node);
      operands.push(condition(right));
      node = { kind: "and", operands };
    }
    return node;
  }

  #equality(): SqlNode {
    let node = this.#comparison();
    for (let isLink = false;; isLink = true) {
      const next = this.#equated(node);
      if (next === undefined) return node;
      if (isLink) this.#link();
      node = next;
    }
  }

  /** A node with the operator after it; undefined if there is none. */
  #equated(left: SqlNode): SqlNode | undefined {
    if (this.#takes("=")) return equal(left, this.#comparison());
    if (this.#takes("<>")) return not(equal(left, this.#comparison()));
    return this.#takes("IS") ? this.#isNull(left) : undefined;
  }

  #isNull(operand: SqlNode): SqlNode {
    const isNegated = this.#takes("NOT");
    this.#take("NULL");
    return isNegated ? not(isUnknown(operand)) : isUnknown(operand);
  }

  #comparison(): SqlNode {
    let node = this.#unary();
    for (let isLink = false;; isLink = true) {
      const next = this.#compared(node);
      if (next === undefined) return node;
      if (isLink) this.#link();
      node = next;
    }
  }

  /** A node with the operator after it; undefined if there is none. */
  #compared(left: SqlNode): SqlNode | undefined {
    for (const operator of ORDER_OPERATORS) {
      if (this.#takes(operator)) return order(left, operator, this.#unary());
    }
    const before = this.#peek();
    const negated = this.#takes("NOT");
    for (const operator of TEXT_OPERATORS) {
      if (!this.#takes(operator)) continue;
      return { kind: "text", operator, operand: left, text: this.#text(), negated };
    }
    if (this.#takes("BETWEEN")) {
      const low = this.#unary();
      this.#take("AND");
      return between(left, low, this.#unary(), negated);
    }
    if (this.#takes("IN")) return isIn(left, this.#texts(), negated);
    if (negated) throw this.#unexpected(before);
    return undefined;
  }

  #unary(): SqlNode {
    this.#deepen();
    const node = this.#signed();
    this.#depth--;
    return node;
  }

  #signed(): SqlNode {
    if (this.#takes("+")) return this.#unary();
    if (this.#takes("-")) return { kind: "negative", operand: this.#unary() };
    if (this.#takes("NOT")) return not(condition(this.#unary()));
    if (this.#takes("(")) {
      const node = this.#or();
      this.#take(")");
      return node;
    }
    for (const kind of LEAVES) this.#expected.add(kind);
    const leaf = leafOf(this.#peek());
    if (leaf === undefined) throw this.#unexpected();
    this.#consume();
    return leaf;
  }

  #texts(): string[] {
    this.#take("(");
    const texts = [this.#text()];
    while (this.#takes(",")) texts.push(this.#text());
    this.#take(")");
    return texts;
  }

  #text(): string {
    return unquote(this.#take("a text").text);
  }

  #peek(): Token {
    return this.#ahead ??= this.#lexer.next();
  }

  #consume(): Token {
    const word = this.#peek();
    this.#ahead = undefined;
    this.#expected.clear();
    return word;
  }

  /** Whether the next token is of a kind; it is consumed then. */
  #takes(kind: TokenKind): boolean {
    this.#expected.add(kind);
    if (this.#peek().kind !== kind) return false;
    this.#consume();
    return true;
  }

  #take(kind: TokenKind): Token {
    this.#expected.add(kind);
    if (this.#peek().kind !== kind) throw this.#unexpected();
    return this.#consume();
  }

  #deepen(): void {
    if (++this.#depth > MAX_DEPTH) throw tooLarge(`more than ${MAX_DEPTH} levels`);
  }

  #link(): void {
    if (++this.#links > MAX_DEPTH) throw tooLarge(`more than ${MAX_DEPTH} comparisons of comparisons`);
  }

  #unexpected({ kind, text, at }: Token = this.#peek()): SqlError {
    const isEnd = kind === "the end";
    // The end has the position of the last character.
    const [line, column] = placeOf(this.#lexer.source, isEnd ? at - 1 : at);
    const found = isEnd ? "<EOF>" : text;
    const expected = [...this.#expected].join(" ");
    return new SqlError(
      "SQL_GRAMMAR",
      `Encountered "${found}" at line ${line}, column ${column}.\nWas expecting one of:\n    ${expected}`,
    );
  }
}

const ORDER_OPERATORS: readonly OrderOperator[] = [">", ">=", "<", "<="];
const TEXT_OPERATORS: readonly TextOperator[] = ["CONTAINS", "STARTSWITH", "ENDSWITH"];

/** The keywords that are literals. */
const LEAVES: readonly TokenKind[] = [
  "a name",
  "a text",
  "a whole number",
  "a decimal number",
  "TRUE",
  "FALSE",
  "NULL",
];

function leafOf({ kind, text }: Token): SqlNode | undefined {
  switch (kind) {
    case "a name":
      return { kind: "property", name: text };
    case "a text":
      return { kind: "constant", value: unquote(text) };
    case "a whole number":
      return whole(text);
    case "a decimal number":
      return decimal(text);
    case "TRUE":
    case "FALSE":
      return { kind: "constant", value: kind === "TRUE" };
    case "NULL":
      return { kind: "constant", value: null };
    default:
      return undefined;
  }
}

function tooLarge(found: string): SqlError {
  return new SqlError("SQL_SIZE", `The expression has ${found}`);
}
