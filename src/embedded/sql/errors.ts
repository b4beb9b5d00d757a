/**
 * What is wrong with an expression.
 *
 * @module
 */

import { RocketMQError } from "../../errors.ts";

/** What a broker may find wrong with an expression, and the Java class that its complaint begins with. */
const classes = {
  /** No word of the language begins like this. */
  SQL_WORD: "org.apache.rocketmq.filter.parser.TokenMgrError",
  /** A word stands where it must not. */
  SQL_GRAMMAR: "org.apache.rocketmq.filter.parser.ParseException",
  /** An operator cannot be used with what stands beside it. */
  SQL_OPERAND: "java.lang.RuntimeException",
  /** A whole number does not fit into 64 bits. */
  SQL_NUMBER: "java.lang.NumberFormatException",
  /** The expression is longer or deeper than an embedded broker reads. A broker's limit is the size of its stack. */
  SQL_SIZE: "java.lang.StackOverflowError",
} as const;

/** The kinds of {@linkcode SqlError}. */
export type SqlErrorCode = keyof typeof classes;

/** An expression that a broker refuses. */
export class SqlError extends RocketMQError {
  /** The class's name, also after bundling. */
  override name = "SqlError";

  /** What a broker's answer says: the class of the Java exception, a colon, the complaint, which may have lines. */
  readonly remark: string;

  /** Makes the error from its kind and the complaint. */
  constructor(code: SqlErrorCode, complaint: string) {
    const remark = `${classes[code]}: ${complaint}`;
    super(remark, { code });
    this.remark = remark;
  }
}
