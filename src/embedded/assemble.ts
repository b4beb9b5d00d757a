/**
 * How the parts of a broker are put together.
 *
 * @module
 */

import { parseAddress } from "../transport/transport.ts";
import type { RequestHandler } from "../transport/connection.ts";
import { PROTOCOL_VERSION } from "../wire/codes.ts";
import { offsetMessageId, UniqueKeys } from "../wire/message_id.ts";
import { Delays } from "./delays.ts";
import { GroupFilters } from "./group_filters.ts";
import { Groups } from "./groups.ts";
import { clientRoutes } from "./handlers/clients.ts";
import { lockRoutes } from "./handlers/locks.ts";
import { nameServerRoutes } from "./handlers/name_server.ts";
import { offsetRoutes } from "./handlers/offsets.ts";
import { pullRoutes } from "./handlers/pull.ts";
import { sendRoutes } from "./handlers/send.ts";
import { sendBackRoutes } from "./handlers/send_back.ts";
import { topicRoutes } from "./handlers/topics.ts";
import { QueueLocks } from "./locks.ts";
import { LongPolls } from "./long_polls.ts";
import { Offsets } from "./offsets.ts";
import { isLegalGroup } from "./names.ts";
import type { CheckedOptions } from "./options.ts";
import type { Parts } from "./parts.ts";
import type { Entry } from "./queue.ts";
import { router } from "./routes.ts";
import { Expressions } from "./sql/expressions.ts";
import { type NewMessage, Store } from "./store.ts";
import type { Timetable } from "./timetable.ts";
import { Topics } from "./topics.ts";

/** The version that a 4.9 broker says it has: 4.9.7. */
const VERSION_4_9 = 407;

/** Makes the parts of a broker that is reached at `address`. */
export function assemble(options: CheckedOptions, address: string, timetable: Timetable): Parts {
  const { host, port } = parseAddress(address)!;
  const store = new Store(options, address);
  const longPolls = new LongPolls(timetable);
  const put = (messages: readonly NewMessage[]) => putAll(store, longPolls, messages);
  const delays = new Delays(
    options.delayLevels,
    options.dialect === "5.x",
    options,
    timetable,
    (message) => put([message]),
  );
  const groups = new Groups(timetable, options.dialect === "5.x" ? isLegalGroup : () => true);
  const expressions = new Expressions(options.dialect === "5.x");
  timetable.add(delays);
  timetable.add(longPolls);
  timetable.add(groups);
  return {
    options,
    address,
    topics: new Topics(options),
    store,
    delays,
    longPolls,
    offsets: new Offsets(options.offsetPersistInterval),
    groups,
    groupFilters: new GroupFilters(expressions),
    expressions,
    locks: new QueueLocks(),
    uniqueKeys: new UniqueKeys({ address: host }),
    messageId: (commitLogOffset) => offsetMessageId(host, port, commitLogOffset),
    put,
  };
}

/** Everything that a broker and its name server answer, under the version that they say they have. */
export function handlerOf(parts: Parts): RequestHandler {
  const serve = router([
    ...nameServerRoutes(parts),
    ...topicRoutes(parts),
    ...clientRoutes(parts),
    ...lockRoutes(parts),
    ...offsetRoutes(parts),
    ...sendRoutes(parts),
    ...sendBackRoutes(parts),
    ...pullRoutes(parts),
  ]);
  const version = parts.options.dialect === "5.x" ? PROTOCOL_VERSION : VERSION_4_9;
  return async (command, connection) => {
    const reply = { ...await serve(command, connection), version, language: "JAVA" };
    return reply;
  };
}

/** Stores messages, then wakes the pulls of each queue once. */
function putAll(store: Store, longPolls: LongPolls, messages: readonly NewMessage[]): Entry[] {
  const entries = messages.map((message) => store.append(message));
  const first = new Map(entries.toReversed().map((entry) => [entry.queue, entry.queueOffset]));
  for (const [queue, from] of first) longPolls.arrived(queue, from);
  return entries;
}
