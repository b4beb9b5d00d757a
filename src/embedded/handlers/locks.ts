/**
 * Locks of queues that are consumed in order. Source: AdminBrokerProcessor.lockBatchMQ.
 *
 * @module
 */

import { readLock, readUnlock } from "../../wire/body_readers.ts";
import { lockQueues, unlockQueues } from "../../wire/requests.ts";
import type { Parts } from "../parts.ts";
import { accept, jsonBody, type Route, route } from "../routes.ts";

/** The requests about locks. */
export function lockRoutes(parts: Parts): Route[] {
  return [
    route(lockQueues, (_header, { command }) => {
      const { consumerGroup, clientId, mqSet } = readLock(command.body);
      return accept({}, jsonBody({ lockOKMQSet: parts.locks.lock(consumerGroup, clientId, mqSet) }));
    }),
    route(unlockQueues, (_header, { command }) => {
      const { consumerGroup, clientId, mqSet } = readUnlock(command.body);
      parts.locks.unlock(consumerGroup, clientId, mqSet);
      return accept();
    }),
  ];
}
