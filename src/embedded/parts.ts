/**
 * What the handlers of a broker share.
 *
 * @module
 */

import type { UniqueKeys } from "../wire/message_id.ts";
import type { Delays } from "./delays.ts";
import type { GroupFilters } from "./group_filters.ts";
import type { Groups } from "./groups.ts";
import type { QueueLocks } from "./locks.ts";
import type { LongPolls } from "./long_polls.ts";
import type { Offsets } from "./offsets.ts";
import type { CheckedOptions } from "./options.ts";
import type { Entry } from "./queue.ts";
import type { Registry } from "./registry.ts";
import type { Deliveries } from "./pop/deliveries.ts";
import type { PopOrders } from "./pop/orders.ts";
import type { PopPolls } from "./pop/polls.ts";
import type { RequestModes } from "./request_modes.ts";
import type { Expressions } from "./sql/expressions.ts";
import type { NewMessage, Store } from "./store.ts";
import type { Topics } from "./topics.ts";

/** What a broker knows of pops. */
export interface PopParts {
  /** Messages that are popped and not acked. */
  readonly deliveries: Deliveries;
  /** Queues that are popped in order. */
  readonly orders: PopOrders;
  /** Pops that wait for messages. */
  readonly polls: PopPolls;
}

/** The parts of one broker. */
export interface Parts {
  /** What it was told. */
  readonly options: CheckedOptions;
  /** What the name servers know that it registers with. */
  readonly registries: readonly Registry[];
  /** Its topics. */
  readonly topics: Topics;
  /** Its messages. */
  readonly store: Store;
  /** Messages that wait for their time. */
  readonly delays: Delays;
  /** Pulls that wait for messages. */
  readonly longPolls: LongPolls;
  /** Committed offsets. */
  readonly offsets: Offsets;
  /** Consumer groups. */
  readonly groups: Groups;
  /** What groups filter by. */
  readonly groupFilters: GroupFilters;
  /** Expressions over properties. */
  readonly expressions: Expressions;
  /** Locks of queues. */
  readonly locks: QueueLocks;
  /** What is popped. */
  readonly pop: PopParts;
  /** How groups get their messages. */
  readonly requestModes: RequestModes;
  /** Makes the unique keys of messages that came without one. */
  readonly uniqueKeys: UniqueKeys;
  /** Stores messages, which wakes the pulls that wait for them. */
  put(messages: readonly NewMessage[]): Entry[];
}

/** Whether it imitates 5.x. */
export function isV5(parts: Parts): boolean {
  return parts.options.dialect === "5.x";
}
