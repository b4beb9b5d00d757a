/**
 * Which messages of a topic a consumer wants.
 *
 * @module
 */

import { InvalidSelectorError } from "../../errors.ts";
import type { Message } from "../../message.ts";
import type { SubscriptionData } from "../../wire/bodies.ts";
import { javaHashCode } from "../../wire/codes.ts";
import { shown } from "../../plain_text.ts";

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
  }
  const wanted = new Set(tags.map((each) => each.trim()));
  return { type: "TAG", expression: [...wanted].join(" || "), tags: wanted };
}

/**
 * Selects messages by their properties: `sql("price > 10 AND region = 'eu'")`.
 *
 * Brokers evaluate it, if they run with `enablePropertyFilter=true`; they are asked before anything starts. Retried
 * messages come whatever they carry. Properties are texts, read as the kind of number that they are compared with:
 * `price > 10` is not satisfied by `12.50`, `price > 10.0` is. There is no LIKE and no arithmetic: brokers read an
 * expression as far as they understand it and ignore the rest, so that `a LIKE 'x%'` is the bare name `a`, which
 * matches nothing.
 *
 * @throws {InvalidSelectorError} for an empty expression
 * @category Filter
 */
export function sql(expression: string): SqlSelector {
  if (expression.trim() !== "") return { type: "SQL92", expression };
  throw new InvalidSelectorError(`Cannot select by SQL: the expression is empty; "*" selects all`, expression);
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
