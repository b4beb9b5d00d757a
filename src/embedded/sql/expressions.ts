/**
 * A cache of parsed expressions: a pull does not parse its expression again.
 *
 * @module
 */

import { SqlError } from "./errors.ts";
import { matches, type Properties } from "./evaluate.ts";
import { parse } from "./parser.ts";

/** A parsed expression: whether a message with these properties matches. */
export type Expression = (properties: Properties) => boolean;

/** The size of the cache. Source: SelectorParser. */
const MOST_EXPRESSIONS = 100;

/** Parses expressions and caches the last ones, invalid ones included. */
export class Expressions {
  #hasTextOperators: boolean;
  #read = new Map<string, Expression | SqlError>();

  /** Makes an empty table; brokers before 5.0 do not have the text operators: CONTAINS, STARTSWITH, ENDSWITH. */
  constructor(hasTextOperators: boolean) {
    this.#hasTextOperators = hasTextOperators;
  }

  /** The number of cached expressions. */
  get size(): number {
    return this.#read.size;
  }

  /** Parses an expression; returns the error of an invalid one. */
  read(source: string): Expression | SqlError {
    const known = this.#read.get(source);
    const result = known ?? this.#compile(source);
    if (known !== undefined) this.#read.delete(source);
    this.#read.set(source, result); // the most recent one
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
