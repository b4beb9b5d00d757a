/**
 * Assignment of queues by the broker. Source: QueryAssignmentProcessor.
 *
 * @module
 */

import { isRetryTopic } from "../../wire/names.ts";
import type { Reply } from "../../transport/connection.ts";
import type { MessageRequestModeBody, QueryAssignmentBody } from "../../wire/bodies.ts";
import { readQueryAssignment, readRequestMode } from "../../wire/body_readers.ts";
import { Permission, ResponseCode } from "../../wire/codes.ts";
import { queryAssignment, setMessageRequestMode } from "../../wire/requests.ts";
import type { Parts } from "../parts.ts";
import type { RequestMode } from "../request_modes.ts";
import { accept, jsonBody, refuse } from "../replies.ts";
import { type Handler, handler } from "../router.ts";

/** A queue of the requested topic; its number is -1 for all queues of the broker. */
interface AssignedQueue {
  readonly brokerName: string;
  readonly queueId: number;
}

/** The queues of one member out of `members`; `member` is its index in the sorted list. Source: rebalance/Allocate…. */
type Strategy = (queues: readonly AssignedQueue[], member: number, members: number) => readonly AssignedQueue[];

/** The allocation strategies, by their names in requests. */
const strategies: Readonly<Record<string, Strategy>> = {
  AVG: (queues, member, members) => {
    const share = Math.floor(queues.length / members);
    const more = queues.length % members;
    const start = member * share + Math.min(member, more);
    return queues.slice(start, start + share + (member < more ? 1 : 0));
  },
  AVG_BY_CIRCLE: (queues, member, members) => queues.filter((_, i) => i % members === member),
};

/** The handlers of requests about assignments. */
export function assignmentHandlers(parts: Parts): Handler[] {
  return [
    handler(queryAssignment, (_header, { command }) => query(parts, readQueryAssignment(command.body))),
    handler(setMessageRequestMode, (_header, { command }) => setMode(parts, readRequestMode(command.body))),
  ];
}

function query(parts: Parts, body: Partial<QueryAssignmentBody>): Reply {
  const { topic, consumerGroup = "", messageModel } = body;
  if (topic === undefined || messageModel === undefined) {
    return refuse(ResponseCode.SYSTEM_ERROR, "java.lang.NullPointerException, topic or messageModel is missing");
  }
  const mode = parts.requestModes.get(topic, consumerGroup);
  const queues = queuesOf(parts, topic, body, mode);
  if (queues === undefined) return accept({}, jsonBody({})); // Java leaves out what is null
  const unique = new Map(queues.map((queue) => [`${queue.brokerName}:${queue.queueId}`, queue]));
  const messageQueueAssignments = [...unique.values()].map(({ brokerName, queueId }) => ({
    messageQueue: { brokerName, queueId, topic },
    mode: mode.mode,
  }));
  return accept({}, jsonBody({ messageQueueAssignments }));
}

/** A member's queues; undefined if the broker has no answer. */
function queuesOf(
  parts: Parts,
  topic: string,
  { consumerGroup = "", clientId, strategyName = "", messageModel }: Partial<QueryAssignmentBody>,
  mode: RequestMode,
): readonly AssignedQueue[] | undefined {
  const queues = routedQueues(parts, topic);
  if (queues === undefined) return undefined;
  if (messageModel === "BROADCASTING") return queues;
  const group = parts.consumerGroups.get(consumerGroup);
  const strategy = Object.hasOwn(strategies, strategyName) ? strategies[strategyName] : undefined;
  if (group === undefined || strategy === undefined) return undefined;
  const members = [...group.members.values()].map((member) => member.clientId).sort();
  if (mode.mode === "POP") return forPop(queues, clientId, members, strategy, mode.popShareQueueNum);
  if (queues.length === 0 || !clientId) return undefined;
  const index = members.indexOf(clientId);
  return index < 0 ? [] : strategy(queues, index, members.length);
}

/** The readable queues of a topic on all brokers, by broker name; undefined if no name server has the topic. */
function routedQueues(parts: Parts, topic: string): AssignedQueue[] | undefined {
  const routes = parts.registries.map((registry) => registry.route(topic));
  return routes.find((route) => route !== undefined)?.queueDatas
    ?.filter(({ perm }) => (perm & Permission.READ) !== 0)
    .sort((a, b) => a.brokerName < b.brokerName ? -1 : 1)
    .flatMap(({ brokerName, readQueueNums }) =>
      Array.from({ length: readQueueNums }, (_, queueId) => ({ brokerName, queueId }))
    );
}

/** All queues for all members, or for each its own and those of the next members in the list. */
function forPop(
  queues: readonly AssignedQueue[],
  clientId: string | undefined,
  members: readonly string[],
  strategy: Strategy,
  share: number,
): readonly AssignedQueue[] | undefined {
  if (share <= 0 || share >= members.length - 1) return queues.map((queue) => ({ ...queue, queueId: -1 }));
  if (!clientId || queues.length === 0) return undefined;
  const index = members.indexOf(clientId);
  if (index < 0) return [];
  if (members.length > queues.length) return [queues[index % queues.length]!];
  return Array.from({ length: share + 1 }, (_, i) => strategy(queues, (index + i) % members.length, members.length))
    .flat();
}

function setMode(parts: Parts, body: Partial<MessageRequestModeBody>): Reply {
  const { topic = "", consumerGroup = "", mode = "PULL", popShareQueueNum = 0 } = body;
  if (isRetryTopic(topic)) {
    return refuse(ResponseCode.NO_PERMISSION, "retry topic is not allowed to set mode");
  }
  if (parts.topics.get(topic) === undefined) {
    return refuse(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist`);
  }
  if (!parts.consumerGroups.ensure(consumerGroup)) {
    return refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, "subscription group does not exist");
  }
  parts.requestModes.set(topic, consumerGroup, { mode, popShareQueueNum });
  return accept();
}
