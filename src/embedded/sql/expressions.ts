/**
 * Expressions that have been read, so that a pull does not read its own again.
 *
 * @module
 */

import { SqlError } from "./errors.ts";
import { matches, type Properties } from "./evaluate.ts";
import { parse } from "./parser.ts";

/** An expression that has been read: whether a message with these properties matches. */
export type Expression = (properties: Properties) => boolean;

/** How many expressions are kept. Source: SelectorParser. */
const MOST_EXPRESSIONS = 100;

/** Reads expressions and keeps those that were asked for last, the broken ones too. */
export class Expressions {
  #hasTextOperators: boolean;
  #read = new Map<string, Expression | SqlError>();

  /** Makes an empty table; brokers before 5.0 do not have the text operators: CONTAINS, STARTSWITH, ENDSWITH. */
  constructor(hasTextOperators: boolean) {
    this.#hasTextOperators = hasTextOperators;
  }

  /** How many expressions it keeps. */
  get size(): number {
    return this.#read.size;
  }

  /** Reads an expression, or tells what is wrong with it. */
  read(source: string): Expression | SqlError {
    const known = this.#read.get(source);
    const result = known ?? this.#compile(source);
    if (known !== undefined) this.#read.delete(source);
    this.#read.set(source, result); // the last of all
    if (this.#read.size > MOST_EXPRESSIONS) this.#read.delete(this.#read.keys().next().value!);
    return result;
  }

  #compile(source: string): Expression | SqlError {
    try {
      const node = parse(source, this.#hasTextOperators);
      return (properties) => matches(node, properties);
    } catch (error) {
      if (error instanceof SqlError) return error;
      throw error;
    }
  }
}
