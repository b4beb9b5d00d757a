/**
 * Nodes of a tree. Each function checks its operands as a broker does when it parses an expression.
 *
 * Source: the create methods of ComparisonExpression, UnaryExpression and ConstantExpression.
 *
 * @module
 */

import { SqlError } from "./errors.ts";
import { compareNumbers, wholeNumber } from "./numbers.ts";
import { isCondition, type OrderOperator, show, showValue, type SqlNode, type SqlValue } from "./tree.ts";

const MAX_DOUBLE = "1.7976931348623157E308";
const MIN_DOUBLE = "4.9E-324";

/** A whole number; a letter after it is ignored. */
export function whole(literal: string): SqlNode {
  const digits = literal.replace(/[lL]$/, "");
  const value = wholeNumber(digits);
  if (value === undefined) throw new SqlError("SQL_NUMBER", `For input string: "${digits}"`);
  return { kind: "constant", value };
}

/** A decimal number; it cannot be 0. */
export function decimal(literal: string): SqlNode {
  const value = Number(literal);
  if (value === Infinity) throw new SqlError("SQL_OPERAND", `${literal} is greater than ${MAX_DOUBLE}`);
  if (value === 0) throw new SqlError("SQL_OPERAND", `${literal} is less than ${MIN_DOUBLE}`);
  return { kind: "constant", value: { type: "double", value } };
}

/** A node where a condition is required: a property is accepted, though it is never true. */
export function condition(node: SqlNode): SqlNode {
  if (isCondition(node)) return node;
  if (node.kind === "property") return { kind: "condition", operand: node };
  throw new SqlError("SQL_GRAMMAR", `Expression will not result in a boolean value: ${show(node)}`);
}

/** The opposite of a condition. */
export function not(operand: SqlNode): SqlNode {
  return { kind: "not", operand };
}

/** Equality. Only literals are refused: NULL on either side, and TRUE or FALSE before another type. */
export function equal(left: SqlNode, right: SqlNode): SqlNode {
  for (const node of [left, right]) {
    if (isNull(node)) throw new SqlError("SQL_OPERAND", `'${show(node)}' cannot be compared.`);
  }
  const areLiterals = left.kind === "constant" && right.kind === "constant";
  if (areLiterals && isCondition(left) && !isCondition(right)) {
    throw new SqlError("SQL_OPERAND", `'${show(left)}' cannot be compared with '${show(right)}'`);
  }
  return { kind: "equal", left, right };
}

/** IS NULL, as equality with null: two null values are equal. */
export function isUnknown(operand: SqlNode): SqlNode {
  return { kind: "equal", left: operand, right: { kind: "constant", value: null } };
}

/** A comparison by order: not of strings, booleans and conditions. */
export function order(left: SqlNode, operator: OrderOperator, right: SqlNode): SqlNode {
  checkOrdered(left, right);
  return { kind: "order", operator, left, right };
}

/** BETWEEN, both bounds included; literals have to be in order, except with NOT. */
export function between(operand: SqlNode, low: SqlNode, high: SqlNode, negated: boolean): SqlNode {
  if (!negated && low.kind === "constant" && high.kind === "constant") checkBounds(low.value, high.value);
  checkOrdered(operand, low, high);
  return { kind: "between", operand, low, high, negated };
}

/** IN; the operand has to be a property. */
export function isIn(operand: SqlNode, texts: readonly string[], negated: boolean): SqlNode {
  if (operand.kind !== "property") {
    throw new SqlError("SQL_OPERAND", `Expected a property for In expression, got: ${show(operand)}`);
  }
  return { kind: "in", name: operand.name, texts: new Set(texts), negated };
}

function checkOrdered(...nodes: SqlNode[]): void {
  for (const node of nodes) {
    const isNumber = node.kind === "constant" && typeof node.value === "object" && node.value !== null;
    const isOpen = node.kind === "property" || node.kind === "negative";
    if (!isNumber && !isOpen) throw new SqlError("SQL_OPERAND", `Value '${show(node)}' cannot be compared.`);
  }
}

function isNull(node: SqlNode): boolean {
  return node.kind === "constant" && node.value === null;
}

/** Bounds that are not numbers are refused by the comparisons. */
function checkBounds(low: SqlValue, high: SqlValue): void {
  if (low === null || high === null) {
    throw new SqlError("SQL_OPERAND", "Illegal values of between, values can not be null!");
  }
  if (typeof low !== "object" || typeof high !== "object" || compareNumbers(low, high) <= 0) return;
  throw new SqlError(
    "SQL_OPERAND",
    `Illegal values of between, left value(${showValue(low)}) must less than or equal to right value(${
      showValue(high)
    })`,
  );
}
