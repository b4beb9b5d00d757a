/**
 * Which messages a subscription lets through, as far as a broker sees it: by the hash codes of tags.
 * Source: FilterAPI, ExpressionMessageFilter.
 *
 * @module
 */

import type { SubscriptionData } from "../wire/bodies.ts";
import { javaHashCode } from "../wire/codes.ts";

/** Whether a message with this tag code goes through. */
export type TagFilter = (tagsCode: number) => boolean;

/** Lets everything through. */
const everything: TagFilter = () => true;

/** Whether a subscription is by tags, which is what a missing type means. */
export function isTagType(expressionType: string | undefined): boolean {
  return expressionType === undefined || expressionType === "" || expressionType === "TAG";
}

/** The filter of a subscription from a heartbeat. */
export function filterOf(subscription: Pick<SubscriptionData, "subString" | "codeSet">): TagFilter {
  if (subscription.subString === "*") return everything;
  const codes = new Set(subscription.codeSet);
  return (tagsCode) => codes.has(tagsCode);
}

/** The filter of an expression in a pull; undefined if it names no tag. */
export function parseTags(expression: string | undefined): TagFilter | undefined {
  if (expression === undefined || expression === "" || expression === "*") return everything;
  if (/^(\|\|)+$/.test(expression)) return undefined;
  const tags = expression.split("||").map((tag) => tag.trim()).filter((tag) => tag !== "");
  return filterOf({ subString: expression, codeSet: tags.map(javaHashCode) });
}
