/**
 * Evaluates a tree with a message's properties to true, false or null. Source: the evaluate methods of the expressions.
 *
 * @module
 */

import { compareDoubles, compareNumbers, negative, parseDouble, parseNumber } from "./numbers.ts";
import type { OrderOperator, SqlNode, SqlNumber, SqlValue, TextOperator } from "./tree.ts";

/** Returns the value of a property; undefined if the message does not have it. */
export type Properties = (name: string) => string | undefined;

/** The value of a node; undefined if it cannot be evaluated, which ends the evaluation. */
type Result = SqlValue | undefined;

type BetweenNode = Extract<SqlNode, { kind: "between" }>;
type TextNode = Extract<SqlNode, { kind: "text" }>;

/** Whether a message matches: not if the value is null, false or cannot be evaluated. */
export function matches(node: SqlNode, properties: Properties): boolean {
  return evaluate(node, properties) === true;
}

function evaluate(node: SqlNode, properties: Properties): Result {
  switch (node.kind) {
    case "constant":
      return node.value;
    case "property":
      return properties(node.name) ?? null;
    case "negative": {
      const value = evaluate(node.operand, properties);
      if (value === undefined) return undefined;
      return isNumber(value) ? negative(value) : null;
    }
    case "not": {
      const value = evaluate(node.operand, properties);
      return typeof value === "boolean" ? !value : value;
    }
    case "condition": {
      const value = evaluate(node.operand, properties);
      return value === null || value === undefined ? value : value === true;
    }
    case "and":
      return junction(node.operands, false, properties);
    case "or":
      return junction(node.operands, true, properties);
    case "equal":
      return equal(evaluate(node.left, properties), evaluate(node.right, properties));
    case "order":
      return ordered(node.operator, evaluate(node.left, properties), node.right, properties);
    case "between":
      return between(node, evaluate(node.operand, properties), properties);
    case "in": {
      const value = properties(node.name);
      return value === undefined ? null : node.texts.has(value) !== node.negated;
    }
    case "text":
      // With an empty string both operators are false, whether the operand can be evaluated or not.
      return node.text === "" ? false : text(node, evaluate(node.operand, properties));
  }
}

/** The first operand that decides ends the evaluation; otherwise the result is null if an operand is null. */
function junction(operands: readonly SqlNode[], deciding: boolean, properties: Properties): Result {
  let hasNull = false;
  for (const operand of operands) {
    const value = evaluate(operand, properties);
    if (value === deciding || value === undefined) return value;
    if (value === null) hasNull = true;
  }
  return hasNull ? null : !deciding;
}

/** Not below the lower bound and not above the upper one; negated, below the lower one or above the upper one. */
function between({ low, high, negated }: BetweenNode, value: Result, properties: Properties): Result {
  const first = ordered(negated ? "<" : ">=", value, low, properties);
  if (first === negated || first === undefined) return first;
  const second = ordered(negated ? ">" : "<=", value, high, properties);
  return second === negated || second === undefined || first !== null ? second : null;
}

/** Two nulls are equal; a single null has different effects on the left and on the right. */
function equal(left: Result, right: Result): Result {
  if (left === undefined || right === undefined) return undefined;
  if (right === null) return left === null;
  if (left === null) return null;
  const difference = compare(left, right);
  return difference === undefined ? undefined : difference === 0;
}

/** If the left operand is null, the right one is not evaluated. */
function ordered(operator: OrderOperator, left: Result, node: SqlNode, properties: Properties): Result {
  if (left === null || left === undefined) return left;
  const right = evaluate(node, properties);
  if (right === null || right === undefined) return right;
  const difference = typeof left === "string" && typeof right === "string"
    ? compareTexts(left, right)
    : compare(left, right);
  return difference === undefined ? undefined : isOrdered(operator, difference);
}

function isOrdered(operator: OrderOperator, difference: number): boolean {
  switch (operator) {
    case ">":
      return difference > 0;
    case ">=":
      return difference >= 0;
    case "<":
      return difference < 0;
    case "<=":
      return difference <= 0;
  }
}

/** Two strings are compared as decimal numbers. */
function compareTexts(left: string, right: string): number | undefined {
  const [a, b] = [parseDouble(left), parseDouble(right)];
  return a === undefined || b === undefined ? undefined : compareDoubles(a, b);
}

/** Compares two values: a string is parsed as the type of the other one; other different types are not equal. */
function compare(left: SqlValue, right: SqlValue): number | undefined {
  if (isNumber(left)) {
    const number = typeof right === "string" ? parseNumber(right, left.type) : right;
    return number === undefined ? undefined : isNumber(number) ? compareNumbers(left, number) : -1;
  }
  if (typeof left === "string") {
    if (typeof right === "string") return left === right ? 0 : 1;
    if (typeof right === "boolean") return (left.toLowerCase() === "true") === right ? 0 : 1;
    const number = isNumber(right) ? parseNumber(left, right.type) : undefined;
    return number === undefined || !isNumber(right) ? undefined : compareNumbers(number, right);
  }
  // A boolean on the left cannot be compared with a string: a broker fails then.
  if (typeof right === "string") return undefined;
  return left === right ? 0 : -1;
}

/** The result is false for what is no string. */
function text({ operator, text, negated }: TextNode, value: Result): Result {
  if (typeof value !== "string") return value === undefined ? undefined : false;
  return looksInto(operator, value, text) !== negated;
}

function looksInto(operator: TextOperator, value: string, search: string): boolean {
  switch (operator) {
    case "CONTAINS":
      return value.includes(search);
    case "STARTSWITH":
      return value.startsWith(search);
    case "ENDSWITH":
      return value.endsWith(search);
  }
}

function isNumber(value: Result): value is SqlNumber {
  return typeof value === "object" && value !== null;
}
