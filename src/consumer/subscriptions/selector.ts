/**
 * Which messages of a topic a consumer wants.
 *
 * @module
 */

import { InvalidSelectorError } from "../../errors.ts";
import type { Message } from "../../message.ts";
import type { SubscriptionData } from "../../wire/bodies.ts";
import { javaHashCode } from "../../wire/codes.ts";
import { plain, shown } from "../../plain_text.ts";
import { misreadPart } from "./sql_check.ts";

/**
 * Messages with one of some tags, or all messages. Made by {@linkcode tag} or from text.
 *
 * @category Filter
 */
export interface TagSelector {
  /** How brokers are to understand the expression. */
  readonly type: "TAG";
  /** `*`, or tags joined by `||`. */
  readonly expression: string;
  /** The tags; empty for `*`. */
  readonly tags: ReadonlySet<string>;
}

/**
 * Messages whose properties satisfy an SQL92 expression. Made by {@linkcode sql}.
 *
 * @category Filter
 */
export interface SqlSelector {
  /** How brokers are to understand the expression. */
  readonly type: "SQL92";
  /** The expression, as it was given. */
  readonly expression: string;
}

/**
 * Which messages of a topic are wanted.
 *
 * @category Filter
 */
export type Selector = TagSelector | SqlSelector;

/** Everything that a topic holds. */
const everything: TagSelector = { type: "TAG", expression: "*", tags: new Set() };

/**
 * Selects messages that carry one of these tags.
 *
 * @throws {InvalidSelectorError} without a tag, or for a tag that cannot be one
 * @category Filter
 */
export function tag(...tags: string[]): TagSelector {
  if (tags.length === 0) {
    throw new InvalidSelectorError(`Cannot select by tags: none is given; "*" selects all`, "");
  }
  for (const each of tags) {
    // deno-lint-ignore no-control-regex
    if (each.trim() === "" || /[|\u0001\u0002]/.test(each)) {
      throw new InvalidSelectorError(
        `Cannot select by tag "${each}": a tag is text without "|" and control characters`,
        each,
      );
    }
    if (/[,;\s]/.test(each.trim())) throw manyInOne(each);
  }
  const wanted = new Set(tags.map((each) => each.trim()));
  return { type: "TAG", expression: [...wanted].join(" || "), tags: wanted };
}

/** Brokers would compare all of it with the one tag of a message. */
function manyInOne(text: string): InvalidSelectorError {
  const tags = text.split(/[,;\s]+/).filter((each) => each !== "");
  const right = `tag(${tags.map((each) => shown(each)).join(", ")}) or "${
    tags.map((each) => plain(each)).join(" || ")
  }"`;
  return new InvalidSelectorError(
    `Cannot select by tag ${shown(text)}: a message has one tag, without commas and blanks; for one of several use ` +
      `${right}, for a tag with a blank sql("TAGS = '…'")`,
    text,
  );
}

/**
 * Selects messages by their properties: `sql("price > 10 AND region = 'eu'")`.
 *
 * Brokers evaluate it, if they run with `enablePropertyFilter=true`; they are asked before anything starts. Retried
 * messages come whatever they carry. Properties are texts, read as the kind of number that they are compared with:
 * `price > 10` is not satisfied by `12.50`, `price > 10.0` is. There are comparisons (`=`, `<>`, `<`, `<=`, `>`, `>=`),
 * `BETWEEN`, `IN`, `IS NULL`, `NOT`, `AND`, `OR`, and with brokers of 5.x `STARTSWITH`, `ENDSWITH` and `CONTAINS`. There
 * is no LIKE and no arithmetic: brokers ignore what they do not understand after the beginning of an expression, so
 * that is refused here.
 *
 * @throws {InvalidSelectorError} for an expression that is empty, or that brokers would misread
 * @category Filter
 */
export function sql(expression: string): SqlSelector {
  if (expression.trim() === "") {
    throw new InvalidSelectorError(`Cannot select by SQL: the expression is empty; "*" selects all`, expression);
  }
  const problem = misreadPart(expression);
  if (problem === undefined) return { type: "SQL92", expression };
  throw new InvalidSelectorError(`Cannot select by SQL ${shown(expression)}: ${problem}`, expression);
}

/**
 * Reads a tag expression: `"*"`, `"a"`, `"a || b"`.
 *
 * @throws {InvalidSelectorError} for text that looks like SQL, or names no tag
 */
export function parseSelector(value: string | Selector): Selector {
  if (typeof value !== "string") return value;
  const expression = value.trim();
  if (expression === "*" || expression === "") return everything;
  if (looksLikeSql(expression)) {
    throw new InvalidSelectorError(
      `Cannot use ${
        shown(value)
      } as a tag expression: it looks like SQL; for that give sql("…"), else "*", one tag, or tags ` +
        `joined by "||"`,
      value,
    );
  }
  const tags = expression.split("||").map((each) => each.trim()).filter((each) => each !== "");
  if (tags.includes("*")) return everything;
  if (tags.length === 0) {
    throw new InvalidSelectorError(
      `Cannot use ${shown(value)} as a tag expression: it names no tag; "*" selects all`,
      value,
    );
  }
  return tag(...tags);
}

function looksLikeSql(expression: string): boolean {
  return /[=<>()']/.test(expression) || /\s(and|or|not|is|in|between|like|contains)\s/i.test(` ${expression} `);
}

/** Whether a message is selected. Brokers compare hash codes only, so the tag itself is compared again here. */
export function selects(selector: Selector, message: Pick<Message, "tags">): boolean {
  if (selector.type === "SQL92" || selector.tags.size === 0) return true;
  const { tags } = message;
  return tags !== undefined && selector.tags.has(tags);
}

/** The selector as heartbeats and pulls carry it. Source: FilterAPI. */
export function subscriptionData(topic: string, selector: Selector, version: number): SubscriptionData {
  const tags = selector.type === "TAG" ? [...selector.tags] : [];
  return {
    classFilterMode: false,
    topic,
    subString: selector.expression,
    tagsSet: tags,
    codeSet: tags.map(javaHashCode),
    subVersion: version,
    expressionType: selector.type,
  };
}
