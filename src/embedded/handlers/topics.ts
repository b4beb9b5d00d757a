/**
 * Creating topics. Source: AdminBrokerProcessor.updateAndCreateTopic.
 *
 * @module
 */

import { ResponseCode } from "../../wire/codes.ts";
import { createTopic } from "../../wire/requests.ts";
import { topicProblem } from "../names.ts";
import { isV5, type Parts } from "../parts.ts";
import { accept, refuse } from "../replies.ts";
import { type Handler, handler } from "../router.ts";

/** The largest number of queues of a topic that a request creates: answers about a topic list all queues. */
const MAX_QUEUES = 65_536;

/** The handlers of requests about topics. */
export function topicHandlers(parts: Parts): Handler[] {
  return [
    handler(createTopic, ({ topic, readQueueNums, writeQueueNums, perm }) => {
      const problem = topicProblem(topic) ??
        (parts.topics.isSystem(topic) ? "a topic that is no system topic" : undefined) ??
        (Math.max(readQueueNums, writeQueueNums) > MAX_QUEUES ? `a topic of at most ${MAX_QUEUES} queues` : undefined);
      if (problem !== undefined) {
        const code = isV5(parts) ? ResponseCode.INVALID_PARAMETER : ResponseCode.SYSTEM_ERROR;
        return refuse(code, `The topic "${topic}" cannot be created: allowed is ${problem}`);
      }
      if (parts.topics.get(topic) === undefined && parts.topics.isFull) {
        const remark =
          `The topic "${topic}" cannot be created: there are ${parts.options.maxTopics}, which is maxTopics`;
        return refuse(ResponseCode.SYSTEM_ERROR, remark);
      }
      parts.topics.put(topic, readQueueNums, writeQueueNums, perm);
      return { ...accept(), remark: "not set any response code" }; // it is set: to success
    }),
  ];
}
