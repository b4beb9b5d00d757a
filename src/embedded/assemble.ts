/**
 * How the parts of a broker are put together.
 *
 * @module
 */

import { parseAddress } from "../transport/transport.ts";
import { UniqueKeys } from "../wire/message_id.ts";
import { Delays } from "./delays.ts";
import { GroupFilters } from "./group_filters.ts";
import { Groups } from "./groups.ts";
import { assignmentRoutes } from "./handlers/assignment.ts";
import { clientRoutes } from "./handlers/clients.ts";
import { lockRoutes } from "./handlers/locks.ts";
import { offsetRoutes } from "./handlers/offsets.ts";
import { operatorRoutes } from "./handlers/operator.ts";
import { popRoutes } from "./handlers/pop.ts";
import { popAckRoutes } from "./handlers/pop_ack.ts";
import { pullRoutes } from "./handlers/pull.ts";
import { resetRoutes } from "./handlers/reset.ts";
import { sendRoutes } from "./handlers/send.ts";
import { sendBackRoutes } from "./handlers/send_back.ts";
import { topicRoutes } from "./handlers/topics.ts";
import { QueueLocks } from "./locks.ts";
import { LongPolls } from "./long_polls.ts";
import { Offsets } from "./offsets.ts";
import { isLegalGroup } from "./names.ts";
import type { CheckedOptions } from "./options.ts";
import { isV5, type Parts } from "./parts.ts";
import { Deliveries } from "./pop/deliveries.ts";
import { PopOrders } from "./pop/orders.ts";
import { PopPolls } from "./pop/polls.ts";
import { revive } from "./pop/revive.ts";
import type { Entry } from "./queue.ts";
import { RequestModes } from "./request_modes.ts";
import type { Registry } from "./registry.ts";
import type { Route } from "./routes.ts";
import { Expressions } from "./sql/expressions.ts";
import { type NewMessage, Store } from "./store.ts";
import type { Timetable } from "./timetable.ts";
import { Topics } from "./topics.ts";

/** Of how many queues of each group there is room for offsets and locks, in all. */
const QUEUES_OF_A_GROUP = 100;

/** Makes the parts of a broker that is reached at `address` and found in `registries`. */
export function assemble(
  options: CheckedOptions,
  address: string,
  registries: readonly Registry[],
  timetable: Timetable,
): Parts {
  const store = new Store(options, address);
  const longPolls = new LongPolls(timetable);
  const polls = new PopPolls(timetable);
  const put = (messages: readonly NewMessage[]) => putAll(store, [longPolls, polls], messages);
  const delays = new Delays(
    options.delayLevels,
    options.dialect === "5.x",
    options,
    timetable,
    (message) => put([message]),
  );
  const groups = new Groups(timetable, options.maxGroups, options.dialect === "5.x" ? isLegalGroup : () => true);
  const expressions = new Expressions(options.dialect === "5.x");
  const deliveries = new Deliveries(timetable, (messages) => revive(parts, messages));
  const orders = new PopOrders(timetable, ({ group, topic }) => polls.wake(group, topic));
  for (const job of [delays, longPolls, groups, deliveries, orders, polls]) timetable.add(job);
  const parts: Parts = {
    options,
    registries,
    topics: new Topics(options),
    store,
    delays,
    longPolls,
    offsets: new Offsets(options.offsetPersistInterval, QUEUES_OF_A_GROUP * options.maxGroups),
    groups,
    groupFilters: new GroupFilters(expressions),
    expressions,
    locks: new QueueLocks(QUEUES_OF_A_GROUP * options.maxGroups),
    pop: { deliveries, orders, polls },
    requestModes: new RequestModes(),
    uniqueKeys: new UniqueKeys({ address: parseAddress(address)!.host }),
    put,
  };
  return parts;
}

/** Everything that a broker answers. */
export function brokerRoutes(parts: Parts): Route[] {
  return [
    ...topicRoutes(parts),
    ...clientRoutes(parts),
    ...lockRoutes(parts),
    ...offsetRoutes(parts),
    ...sendRoutes(parts),
    ...sendBackRoutes(parts),
    ...pullRoutes(parts),
    ...operatorRoutes(parts),
    ...resetRoutes(parts),
    ...(isV5(parts) ? [...popRoutes(parts), ...popAckRoutes(parts), ...assignmentRoutes(parts)] : []),
  ];
}

/** Stores messages, then wakes the pulls and the pops of each queue once. */
function putAll(store: Store, waiting: readonly (LongPolls | PopPolls)[], messages: readonly NewMessage[]): Entry[] {
  const entries = messages.map((message) => store.append(message));
  const first = new Map(entries.toReversed().map((entry) => [entry.queue, entry.queueOffset]));
  for (const [queue, from] of first) for (const polls of waiting) polls.arrived(queue, from);
  return entries;
}
