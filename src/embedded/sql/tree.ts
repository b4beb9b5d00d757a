/**
 * The syntax tree of an expression.
 *
 * @module
 */

/** A number with its Java type, which decides with which strings it can be compared. */
export type SqlNumber =
  /** A whole number of 32 bits. */
  | { readonly type: "int"; readonly value: number }
  /** A whole number of 64 bits that does not fit into 32. */
  | { readonly type: "long"; readonly value: bigint }
  | { readonly type: "double"; readonly value: number };

/** The value of a node. Null is that of SQL: unknown. */
export type SqlValue = null | boolean | string | SqlNumber;

/** The operators that compare by order. */
export type OrderOperator = ">" | ">=" | "<" | "<=";

/** The operators that search in a string. */
export type TextOperator = "CONTAINS" | "STARTSWITH" | "ENDSWITH";

/** A node of the tree. */
export type SqlNode =
  | { readonly kind: "constant"; readonly value: SqlValue }
  | { readonly kind: "property"; readonly name: string }
  /** A minus sign. */
  | { readonly kind: "negative"; readonly operand: SqlNode }
  | { readonly kind: "not"; readonly operand: SqlNode }
  /** A property in place of a condition. */
  | { readonly kind: "condition"; readonly operand: SqlNode }
  | { readonly kind: "and" | "or"; readonly operands: readonly SqlNode[] }
  | { readonly kind: "equal"; readonly left: SqlNode; readonly right: SqlNode }
  | { readonly kind: "order"; readonly operator: OrderOperator; readonly left: SqlNode; readonly right: SqlNode }
  /** BETWEEN, both bounds included. The operand is evaluated once. */
  | {
    readonly kind: "between";
    readonly operand: SqlNode;
    readonly low: SqlNode;
    readonly high: SqlNode;
    readonly negated: boolean;
  }
  | { readonly kind: "in"; readonly name: string; readonly texts: ReadonlySet<string>; readonly negated: boolean }
  | {
    readonly kind: "text";
    readonly operator: TextOperator;
    readonly operand: SqlNode;
    readonly text: string;
    readonly negated: boolean;
  };

/** Whether the value of a node is true, false or null by its form. A property is no condition: it is a string. */
export function isCondition(node: SqlNode): boolean {
  switch (node.kind) {
    case "constant":
      return node.value === null || typeof node.value === "boolean";
    case "property":
    case "negative":
      return false;
    default:
      return true;
  }
}

/** A node as errors show it. */
export function show(node: SqlNode): string {
  switch (node.kind) {
    case "constant":
      return showValue(node.value);
    case "property":
      return node.name;
    case "negative":
      return `(- ${show(node.operand)})`;
    case "not":
      return `(NOT ${show(node.operand)})`;
    case "condition":
      return show(node.operand);
    case "and":
    case "or": {
      const sign = node.kind === "and" ? "&&" : "||";
      return node.operands.map(show).reduce((left, right) => `(${left} ${sign} ${right})`);
    }
    case "equal":
      return `(${show(node.left)} == ${show(node.right)})`;
    case "order":
      return `(${show(node.left)} ${node.operator} ${show(node.right)})`;
    case "between":
      return `(${show(node.operand)} ${node.negated ? "NOT " : ""}BETWEEN ${show(node.low)} AND ${show(node.high)})`;
    case "in":
      return `${node.name} ${node.negated ? "NOT " : ""}IN ( ${[...node.texts].join(", ")} )`;
    case "text":
      return `(${node.negated ? "NOT " : ""}${node.operator} ${show(node.operand)})`;
  }
}

/** A value as errors show it. */
export function showValue(value: SqlValue): string {
  if (value === null) return "NULL";
  if (typeof value === "boolean") return value ? "TRUE" : "FALSE";
  if (typeof value === "string") return `'${value.replaceAll("'", "''")}'`;
  const text = String(value.value);
  return value.type === "double" && Number.isInteger(value.value) && !text.includes("e") ? `${text}.0` : text;
}
