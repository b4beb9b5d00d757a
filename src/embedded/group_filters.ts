/**
 * What groups subscribe by expressions over properties, as their heartbeats say. Source: ConsumerFilterManager.
 *
 * @module
 */

import type { SubscriptionData } from "../wire/bodies.ts";
import { isTagType, type MessageFilter, SQL92, sqlFilter } from "./filter.ts";
import { SqlError } from "./sql/errors.ts";
import type { Expressions } from "./sql/expressions.ts";

/** How many topics of one group have filters that are kept; the filter that was made first goes for a further one. */
const MOST_FILTERS = 1_000;

/** What one group filters one topic by. */
export interface GroupFilter {
  /** Its kind. */
  readonly expressionType: string;
  /** As the client wrote it. */
  readonly expression: string;
  /** The version of the subscription that it is from, or that named it last. */
  readonly version: number;
  /** What it lets through. */
  readonly matches: MessageFilter;
}

/**
 * The filters of all groups, apart from their subscriptions: they stay when the last member of a group leaves, and only
 * a subscription with a higher version changes one.
 */
export class GroupFilters {
  #expressions: Expressions;
  #filters = new Map<string, Map<string, GroupFilter>>();

  /** Makes an empty table. */
  constructor(expressions: Expressions) {
    this.#expressions = expressions;
  }

  /** What a group filters a topic by; undefined if it never said, or said nonsense last. */
  get(group: string, topic: string): GroupFilter | undefined {
    return this.#filters.get(group)?.get(topic);
  }

  /** Takes over what a heartbeat of a group says. */
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
