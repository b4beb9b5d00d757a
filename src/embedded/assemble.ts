/**
 * Builds a broker from its parts.
 *
 * @module
 */

import { parseAddress } from "../transport/transport.ts";
import { UniqueKeys } from "../wire/message_id.ts";
import { Delays } from "./delays.ts";
import { GroupFilters } from "./group_filters.ts";
import { ConsumerGroups } from "./consumer_groups.ts";
import { assignmentHandlers } from "./handlers/assignment.ts";
import { clientHandlers } from "./handlers/clients.ts";
import { lockHandlers } from "./handlers/locks.ts";
import { offsetHandlers } from "./handlers/offsets.ts";
import { operatorHandlers } from "./handlers/operator.ts";
import { popHandlers } from "./handlers/pop.ts";
import { popAckHandlers } from "./handlers/pop_ack.ts";
import { pullHandlers } from "./handlers/pull.ts";
import { resetHandlers } from "./handlers/reset.ts";
import { sendHandlers } from "./handlers/send.ts";
import { sendBackHandlers } from "./handlers/send_back.ts";
import { topicHandlers } from "./handlers/topics.ts";
import { QueueLocks } from "./locks.ts";
import { HeldPulls } from "./held_pulls.ts";
import { Offsets } from "./offsets.ts";
import { isLegalGroup } from "./names.ts";
import type { CheckedOptions } from "./options.ts";
import { isV5, type Parts } from "./parts.ts";
import { Deliveries } from "./pop/deliveries.ts";
import { OrderedPops } from "./pop/ordered_pops.ts";
import { HeldPops } from "./pop/held_pops.ts";
import { revive } from "./pop/revive.ts";
import { ProducerGroups } from "./producer_groups.ts";
import type { Entry } from "./queue.ts";
import { RequestModes } from "./request_modes.ts";
import type { Registry } from "./registry.ts";
import type { Handler } from "./router.ts";
import { Expressions } from "./sql/expressions.ts";
import { type NewMessage, Store } from "./store.ts";
import type { Scheduler } from "./scheduler.ts";
import { checkTopic } from "./topic_options.ts";
import { Topics } from "./topics.ts";

/** Makes the parts of a broker with this address that registers with `registries`. */
export function assemble(
  options: CheckedOptions,
  address: string,
  registries: readonly Registry[],
  scheduler: Scheduler,
): Parts {
  const is5x = options.dialect === "5.x";
  const isLegal = is5x ? isLegalGroup : () => true;
  const store = new Store(options, address);
  const heldPulls = new HeldPulls(scheduler);
  const held = new HeldPops(scheduler);
  const put = (messages: readonly NewMessage[]) => putAll(store, [heldPulls, held], messages);
  const delays = new Delays(options.delayLevels, is5x, options, scheduler, (message) => put([message]));
  const consumerGroups = new ConsumerGroups(scheduler, options.maxGroups, isLegal);
  const producerGroups = new ProducerGroups(scheduler, options.maxGroups, isLegal);
  const expressions = new Expressions(is5x);
  const deliveries = new Deliveries(scheduler, (messages) => revive(parts, messages));
  const ordered = new OrderedPops(scheduler, ({ group, topic }) => held.wake(group, topic));
  scheduler.add(delays, heldPulls, consumerGroups, producerGroups, deliveries, ordered, held);
  const parts: Parts = {
    options,
    registries,
    topics: new Topics(options),
    store,
    delays,
    heldPulls,
    offsets: new Offsets(options.offsetPersistInterval, options.maxOffsets),
    consumerGroups,
    producerGroups,
    groupFilters: new GroupFilters(expressions),
    expressions,
    locks: new QueueLocks(options.maxLocks),
    pop: { deliveries, ordered, held },
    requestModes: new RequestModes(),
    uniqueKeys: new UniqueKeys({ address: parseAddress(address)!.host }),
    put,
  };
  for (const [name, topic] of Object.entries(options.topics)) {
    const { queues, permission } = checkTopic(name, topic);
    parts.topics.put(name, queues, queues, permission);
  }
  return parts;
}

/** The handlers of all requests that a broker serves. */
export function brokerHandlers(parts: Parts): Handler[] {
  return [
    ...topicHandlers(parts),
    ...clientHandlers(parts),
    ...lockHandlers(parts),
    ...offsetHandlers(parts),
    ...sendHandlers(parts),
    ...sendBackHandlers(parts),
    ...pullHandlers(parts),
    ...operatorHandlers(parts),
    ...resetHandlers(parts),
    ...(isV5(parts) ? [...popHandlers(parts), ...popAckHandlers(parts), ...assignmentHandlers(parts)] : []),
  ];
}

/** Stores messages, then answers the held pulls and pops of each queue once. */
function putAll(store: Store, held: readonly (HeldPulls | HeldPops)[], messages: readonly NewMessage[]): Entry[] {
  const entries = messages.map((message) => store.append(message));
  const first = new Map(entries.toReversed().map((entry) => [entry.queue, entry.queueOffset]));
  for (const [queue, from] of first) for (const requests of held) requests.arrived(queue, from);
  return entries;
}
