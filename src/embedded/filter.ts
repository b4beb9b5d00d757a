/**
 * The filters of subscriptions, as brokers apply them: by the hash codes of tags, or by an SQL92 expression over
 * properties. Source: FilterAPI, ExpressionMessageFilter.
 *
 * @module
 */

import type { SubscriptionData } from "../wire/bodies.ts";
import { javaHashCode } from "../wire/codes.ts";
import { parseProperties } from "../wire/properties.ts";
import { At, bodyAt, MAGIC_V2 } from "../wire/record_layout.ts";
import { decodeUtf8, readable } from "../wire/utf8.ts";
import type { Entry } from "./queue.ts";
import type { Expression } from "./sql/expressions.ts";

/** What a filter reads of a message. */
export type Filtered = Pick<Entry, "tagsCode" | "record">;

/** Whether a stored message matches. */
export type MessageFilter = (message: Filtered) => boolean;

/** The type of expressions over properties. Source: ExpressionType. */
export const SQL92 = "SQL92";

/** Matches all messages. */
export const everything: MessageFilter = () => true;

/** Whether a subscription is by tags, which is the default. */
export function isTagType(expressionType: string | undefined): boolean {
  return expressionType === undefined || expressionType === "" || expressionType === "TAG";
}

/** The filter of a subscription by tags from a heartbeat. */
export function filterOf(subscription: Pick<SubscriptionData, "subString" | "codeSet">): MessageFilter {
  if (subscription.subString === "*") return everything;
  const codes = new Set(subscription.codeSet);
  return ({ tagsCode }) => codes.has(tagsCode);
}

/** The filter of tags in a pull; undefined if it has no tag. */
export function parseTags(expression: string | undefined): MessageFilter | undefined {
  if (expression === undefined || expression === "" || expression === "*") return everything;
  if (/^(\|\|)+$/.test(expression)) return undefined;
  const tags = expression.split("||").map((tag) => tag.trim()).filter((tag) => tag !== "");
  return filterOf({ subString: expression, codeSet: tags.map(javaHashCode) });
}

/** The filter of an expression over properties. */
export function sqlFilter(expression: Expression): MessageFilter {
  return ({ record }) => {
    let properties: Map<string, string> | undefined;
    return expression((name) => (properties ??= propertiesOf(record)).get(name));
  };
}

/** The properties of a record. They are at its end, after the topic. */
function propertiesOf(record: Uint8Array): Map<string, string> {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const body = bodyAt(view.getInt32(At.SYS_FLAG));
  const topic = body + view.getInt32(body - 4);
  const isLong = view.getInt32(At.MAGIC) === MAGIC_V2;
  const start = topic + (isLong ? 2 + view.getInt16(topic) : 1 + view.getInt8(topic)) + 2;
  return parseProperties(decodeUtf8(readable(record), start, record.length));
}
