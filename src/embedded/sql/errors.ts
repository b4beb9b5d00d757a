/**
 * Errors in expressions.
 *
 * @module
 */

import { RocketMQError } from "../../errors.ts";

/** The kinds of errors, and the Java exception whose name begins the remark. */
const classes = {
  /** No token begins like this. */
  SQL_WORD: "org.apache.rocketmq.filter.parser.TokenMgrError",
  /** A token is not allowed here. */
  SQL_GRAMMAR: "org.apache.rocketmq.filter.parser.ParseException",
  /** An operator does not allow its operands. */
  SQL_OPERAND: "java.lang.RuntimeException",
  /** A whole number does not fit into 64 bits. */
  SQL_NUMBER: "java.lang.NumberFormatException",
  /** The expression is longer or deeper than an embedded broker allows. A broker's limit is the size of its stack. */
  SQL_SIZE: "java.lang.StackOverflowError",
} as const;

/** The kinds of {@linkcode SqlError}. */
export type SqlErrorCode = keyof typeof classes;

/** An expression that a broker refuses. */
export class SqlError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "SqlError";

  /** The remark of a broker's answer: the Java exception, a colon, and the message, which may have several lines. */
  readonly remark: string;

  /** Makes the error from its kind and the message. */
  constructor(code: SqlErrorCode, complaint: string) {
    const remark = `${classes[code]}: ${complaint}`;
    super(remark, { code });
    this.remark = remark;
  }
}
