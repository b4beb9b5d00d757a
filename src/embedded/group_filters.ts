/**
 * The SQL92 filters of consumer groups, from their heartbeats. Source: ConsumerFilterManager.
 *
 * @module
 */

import type { SubscriptionData } from "../wire/bodies.ts";
import { isTagType, type MessageFilter, SQL92, sqlFilter } from "./filter.ts";
import { SqlError } from "./sql/errors.ts";
import type { Expressions } from "./sql/expressions.ts";

/** How many filters of one group are kept; a further one replaces the oldest. */
const MOST_FILTERS = 1_000;

/** The filter of one group for one topic. */
export interface GroupFilter {
  /** Its type. */
  readonly expressionType: string;
  /** The text of the expression. */
  readonly expression: string;
  /** The version of the last subscription with this expression. */
  readonly version: number;
  /** Whether a message matches. */
  readonly matches: MessageFilter;
}

/**
 * The filters of all groups. Unlike subscriptions they stay when the last member of a group leaves, and only a
 * subscription with a higher version changes one.
 */
export class GroupFilters {
  #expressions: Expressions;
  #filters = new Map<string, Map<string, GroupFilter>>();

  /** Makes an empty table. */
  constructor(expressions: Expressions) {
    this.#expressions = expressions;
  }

  /** The filter of a group for a topic; undefined without one, or if the last expression was invalid. */
  get(group: string, topic: string): GroupFilter | undefined {
    return this.#filters.get(group)?.get(topic);
  }

  /** Stores the filters of the subscriptions of a heartbeat. */
  register(group: string, subscriptions: readonly SubscriptionData[]): void {
    for (const subscription of subscriptions) {
      const { expressionType, subString } = subscription;
      if (!isTagType(expressionType) && typeof subString === "string" && subString !== "") {
        this.#register(group, subscription);
      }
    }
  }

  #register(group: string, { topic, subString, subVersion, expressionType }: SubscriptionData): void {
    let filters = this.#filters.get(group);
    const old = filters?.get(topic);
    if (old !== undefined && subVersion <= old.version) return;
    const isSame = old?.expression === subString && old.expressionType === expressionType;
    const matches = isSame ? old.matches : this.#filterOf(expressionType, subString);
    if (matches === undefined) {
      filters?.delete(topic);
      return;
    }
    if (filters === undefined) this.#filters.set(group, filters = new Map());
    filters.set(topic, { expressionType, expression: subString, version: subVersion, matches });
    if (filters.size > MOST_FILTERS) filters.delete(filters.keys().next().value!);
  }

  #filterOf(expressionType: string, expression: string): MessageFilter | undefined {
    const read = expressionType === SQL92 ? this.#expressions.read(expression) : undefined;
    return read === undefined || read instanceof SqlError ? undefined : sqlFilter(read);
  }
}
