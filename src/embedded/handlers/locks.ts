/**
 * Locks of queues that are consumed in order. Source: AdminBrokerProcessor.lockBatchMQ.
 *
 * @module
 */

import { readLock, readUnlock } from "../../wire/body_readers.ts";
import { lockQueues, unlockQueues } from "../../wire/requests.ts";
import type { Parts } from "../parts.ts";
import { accept, jsonBody } from "../replies.ts";
import { type Handler, handler } from "../router.ts";

/** The handlers of requests about locks. */
export function lockHandlers(parts: Parts): Handler[] {
  return [
    handler(lockQueues, (_header, { command }) => {
      const { consumerGroup, clientId, mqSet } = readLock(command.body);
      return accept({}, jsonBody({ lockOKMQSet: parts.locks.lock(consumerGroup, clientId, mqSet) }));
    }),
    handler(unlockQueues, (_header, { command }) => {
      const { consumerGroup, clientId, mqSet } = readUnlock(command.body);
      parts.locks.unlock(consumerGroup, clientId, mqSet);
      return accept();
    }),
  ];
}
