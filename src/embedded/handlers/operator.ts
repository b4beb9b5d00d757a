/**
 * Requests of operators that the broker forwards to members of a group. Sources: AdminBrokerProcessor, Broker2Client.
 *
 * @module
 */

import { TimeoutError } from "../../errors.ts";
import type { OutgoingRequest } from "../../transport/connection.ts";
import { ResponseCode } from "../../wire/codes.ts";
import type { HeaderOf } from "../../wire/fields.ts";
import type { Command } from "../../wire/frame.ts";
import { readConsumerStatus } from "../../wire/body_readers.ts";
import { JsonFields } from "../../wire/json_fields.ts";
import { parseOffsetMessageId } from "../../wire/message_id.ts";
import {
  consumeMessageDirectly,
  getConsumerRunningInfo,
  getConsumerStatus,
  queryConsumerStatus,
  type RequestSpec,
} from "../../wire/requests.ts";
import type { Member } from "../members.ts";
import { isV5, type Parts } from "../parts.ts";
import { accept, type BrokerReply, refuse, textBody } from "../replies.ts";
import { type Handler, handler } from "../router.ts";

/** The timeout of a forwarded request, in milliseconds. Source: Broker2Client.callClient. */
const CALL_TIMEOUT = 10_000;
/** The timeout of a request for the status, in milliseconds. Source: Broker2Client.getConsumeStatus. */
const STATUS_TIMEOUT = 5_000;
/** The first client version (3.1.8) that supports these requests. */
const CALL_VERSION = 62;

/** The handlers of requests that are forwarded to members. */
export function operatorHandlers(parts: Parts): Handler[] {
  return [
    handler(getConsumerRunningInfo, (header, { command }) => call(parts, getConsumerRunningInfo, header, command)),
    handler(consumeMessageDirectly, (header, { command }) => consume(parts, header, command)),
    handler(queryConsumerStatus, (header) => queryStatus(parts, header)),
  ];
}

/** Forwards a message to a member, which handles it at once. */
function consume(
  parts: Parts,
  header: HeaderOf<typeof consumeMessageDirectly.header>,
  command: Command,
): BrokerReply | Promise<BrokerReply> {
  const { msgId, topic, consumerGroup } = header;
  const entry = msgId === undefined ? undefined : parts.store.lookUp(parseOffsetMessageId(msgId).commitLogOffset);
  if (entry === undefined) {
    return refuse(ResponseCode.SYSTEM_ERROR, "java.lang.NullPointerException, there is no message of this id");
  }
  const fields = { ...command.fields, brokerName: parts.options.brokerName };
  if (isV5(parts)) {
    if (topic !== undefined && parts.topics.get(topic) !== undefined) Object.assign(fields, { topicSysFlag: "0" });
    if (parts.consumerGroups.ensure(consumerGroup)) Object.assign(fields, { groupSysFlag: "0" });
  }
  return call(parts, consumeMessageDirectly, header, { ...command, fields, body: entry.record });
}

/** Forwards a request to a member and returns its answer unchanged. */
async function call(
  parts: Parts,
  { name, code }: RequestSpec,
  { consumerGroup, clientId }: { consumerGroup: string; clientId?: string | undefined },
  { fields, body }: Command,
): Promise<BrokerReply> {
  const member = memberOf(parts, consumerGroup, clientId);
  const who = `<${consumerGroup}> <${clientId ?? "null"}>`;
  if (member === undefined) return refuse(ResponseCode.SYSTEM_ERROR, `The Consumer ${who} not online`);
  if (member.version < CALL_VERSION) {
    const remark = `The Consumer <${clientId}> Version <${member.version}> too low to finish, please upgrade it to ` +
      "V3_1_8_SNAPSHOT";
    return refuse(ResponseCode.SYSTEM_ERROR, remark);
  }
  try {
    const { code: answer, remark, fields: header, body: bytes, language, version } = await request(
      member,
      { name, code, fields: JsonFields.ofText(fields), body },
      CALL_TIMEOUT,
    );
    return { code: answer, remark, fields: header, body: bytes, language, version };
  } catch (error) {
    // A real broker waits until the timeout when the connection is lost, and then answers the same.
    return refuse(ResponseCode.CONSUME_MSG_TIMEOUT, `consumer ${who} Timeout: ${String(error)}`);
  }
}

/**
 * Sends a request to a member.
 *
 * The timeout is not one of the connection: that would close when a member is only busy.
 */
async function request({ connection }: Member, request: OutgoingRequest, timeout: number): Promise<Command> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new TimeoutError(`complete ${request.name}`, timeout)), timeout);
  try {
    return await connection.request(request, { timeout: Infinity, signal: stop.signal });
  } finally {
    clearTimeout(timer);
  }
}

function memberOf(parts: Parts, group: string, clientId: string | undefined): Member | undefined {
  return [...parts.consumerGroups.get(group)?.members.values() ?? []].find((member) => member.clientId === clientId);
}

/** Requests the status of one member after the other, without those that do not answer. */
async function queryStatus(
  parts: Parts,
  { group: name, topic, clientAddr }: HeaderOf<typeof queryConsumerStatus.header>,
): Promise<BrokerReply> {
  const group = parts.consumerGroups.get(name);
  if (group === undefined) {
    return refuse(ResponseCode.SYSTEM_ERROR, "java.lang.NullPointerException, the group has no members");
  }
  const isOne = clientAddr !== undefined && clientAddr.trim() !== "";
  const asked = [...group.members.values()].filter(({ clientId }) => !isOne || clientId === clientAddr);
  const tables = new Map<string, string>();
  for (const member of isOne ? asked.slice(0, 1) : asked) {
    const table = await statusOf(member, name, topic);
    if (table !== undefined) tables.set(member.clientId, table);
  }
  const text = [...tables].map(([clientId, table]) => `${JSON.stringify(clientId)}:${table}`).join(",");
  const body = textBody(`{"consumerTable":{${text}},"messageQueueTable":{}}`);
  return { ...accept({}, body), remark: "not set any response code" };
}

/** The status of a member, in the form of Java: with objects as keys. */
async function statusOf(member: Member, group: string, topic: string): Promise<string | undefined> {
  const { name, code, header } = getConsumerStatus;
  try {
    const fields = JsonFields.of(header, { topic, group });
    const answer = await request(member, { name, code, fields }, STATUS_TIMEOUT);
    if (answer.code !== ResponseCode.SUCCESS || answer.body.length === 0) return undefined;
    const { messageQueueTable } = readConsumerStatus(answer.body);
    return `{${messageQueueTable.map(([queue, offset]) => `${JSON.stringify(queue)}:${offset}`).join(",")}}`;
  } catch {
    return undefined;
  }
}
