/**
 * The parts of a broker, as its handlers use them.
 *
 * @module
 */

import type { UniqueKeys } from "../wire/message_id.ts";
import type { Delays } from "./delays.ts";
import type { GroupFilters } from "./group_filters.ts";
import type { ConsumerGroups } from "./consumer_groups.ts";
import type { HeldPulls } from "./held_pulls.ts";
import type { QueueLocks } from "./locks.ts";
import type { Offsets } from "./offsets.ts";
import type { CheckedOptions } from "./options.ts";
import type { ProducerGroups } from "./producer_groups.ts";
import type { Entry } from "./queue.ts";
import type { Registry } from "./registry.ts";
import type { Deliveries } from "./pop/deliveries.ts";
import type { OrderedPops } from "./pop/ordered_pops.ts";
import type { HeldPops } from "./pop/held_pops.ts";
import type { RequestModes } from "./request_modes.ts";
import type { Expressions } from "./sql/expressions.ts";
import type { NewMessage, Store } from "./store.ts";
import type { Topics } from "./topics.ts";

/** The parts for POP. */
export interface PopParts {
  /** Popped messages that are not acknowledged. */
  readonly deliveries: Deliveries;
  /** Queues that are popped in order. */
  readonly ordered: OrderedPops;
  /** Pops that wait for messages. */
  readonly held: HeldPops;
}

/** The parts of one broker. */
export interface Parts {
  /** Its options. */
  readonly options: CheckedOptions;
  /** The registries of the name servers that it registers with. */
  readonly registries: readonly Registry[];
  /** Its topics. */
  readonly topics: Topics;
  /** Its messages. */
  readonly store: Store;
  /** Delayed messages. */
  readonly delays: Delays;
  /** Pulls that wait for messages. */
  readonly heldPulls: HeldPulls;
  /** Committed offsets. */
  readonly offsets: Offsets;
  /** Consumer groups. */
  readonly consumerGroups: ConsumerGroups;
  /** Producer groups. */
  readonly producerGroups: ProducerGroups;
  /** SQL92 filters of consumer groups. */
  readonly groupFilters: GroupFilters;
  /** Parsed SQL92 expressions. */
  readonly expressions: Expressions;
  /** Locks of queues. */
  readonly locks: QueueLocks;
  /** POP. */
  readonly pop: PopParts;
  /** Whether groups pull or pop. */
  readonly requestModes: RequestModes;
  /** Unique keys for messages without one. */
  readonly uniqueKeys: UniqueKeys;
  /** Stores messages and answers the held pulls and pops that wait for them. */
  put(messages: readonly NewMessage[]): Entry[];
}

/** Whether the broker imitates 5.x. */
export function isV5(parts: Parts): boolean {
  return parts.options.dialect === "5.x";
}
