/**
 * Locks of queues that are consumed in order. Source: AdminBrokerProcessor.lockBatchMQ.
 *
 * @module
 */

import type { QueueName } from "../../wire/bodies.ts";
import { lockQueues, unlockQueues } from "../../wire/requests.ts";
import type { Parts } from "../parts.ts";
import { accept, jsonBody, readJson, type Route, route } from "../routes.ts";

/** The body of both requests. Source: LockBatchRequestBody. */
interface LockBody {
  readonly consumerGroup: string;
  readonly clientId: string;
  readonly mqSet?: readonly QueueName[];
}

/** The requests about locks. */
export function lockRoutes(parts: Parts): Route[] {
  return [
    route(lockQueues, (_header, { command }) => {
      const { consumerGroup, clientId, mqSet = [] } = readJson<LockBody>(command.body);
      return accept({}, jsonBody({ lockOKMQSet: parts.locks.lock(consumerGroup, clientId, mqSet) }));
    }),
    route(unlockQueues, (_header, { command }) => {
      const { consumerGroup, clientId, mqSet = [] } = readJson<LockBody>(command.body);
      parts.locks.unlock(consumerGroup, clientId, mqSet);
      return accept();
    }),
  ];
}
