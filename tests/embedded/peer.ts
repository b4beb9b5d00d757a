/** A client that speaks raw requests, for tests of the embedded broker. */

import type { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { Connection, type Reply } from "../../src/transport/connection.ts";
import { defaultTransport } from "../../src/transport/default.ts";
import { parseAddress } from "../../src/transport/transport.ts";
import type { SubscriptionData } from "../../src/wire/bodies.ts";
import { javaHashCode } from "../../src/wire/codes.ts";
import { decodeHeader, encodeHeader, type HeaderOf, type HeaderText } from "../../src/wire/fields.ts";
import type { Command } from "../../src/wire/frame.ts";
import { JsonFields } from "../../src/wire/json_fields.ts";
import { formatPopReceipt, type PopReceipt, realPopTopic } from "../../src/wire/pop.ts";
import { type PoppedMessage, receivePopped } from "../../src/wire/pop_receive.ts";
import { encodeProperties } from "../../src/wire/properties.ts";
import { decodeRecords, type StoredMessage } from "../../src/wire/record.ts";
import {
  ackMessage,
  changeInvisibleTime,
  getMaxOffset,
  heartbeat,
  notifyConsumerIdsChanged,
  popMessage,
  pullMessage,
  queryConsumerOffset,
  type RequestSpec,
  sendBack,
  sendMessage,
  updateConsumerOffset,
} from "../../src/wire/requests.ts";

/** What requests need besides the header. */
export interface AskOptions {
  /** The body; an object is sent as JSON. */
  body?: string | Uint8Array | object;
  /** The version that the request says its sender has. */
  version?: number;
}

/** A message as tests send it. */
export interface SentMessage extends Partial<HeaderOf<typeof sendMessage.header>> {
  /** The topic. */
  topic: string;
  /** The body. @default {"hello"} */
  body?: string | Uint8Array;
  /** Properties by name. */
  with?: Record<string, string>;
  /** The version that the request says its sender has. */
  version?: number;
}

const utf8 = new TextEncoder();

/** A broker, as peers see it: an embedded one or another. */
type Server = Pick<EmbeddedBroker, "nameServer" | "brokerName">;

/** One connection to a broker, and the requests of the broker on it. */
export class Peer {
  readonly connection: Connection;
  /** The groups of the notifications of the broker, in order. */
  readonly notified: string[] = [];
  /** Answers the requests of the broker. */
  answer: (request: Command) => Reply | Promise<Reply> = () => ({ code: 0 });
  #pushed: Command[] = [];
  #broker: Server;
  #waiting: (() => void)[] = [];

  private constructor(broker: Server, connection: (peer: () => Peer) => Connection) {
    this.#broker = broker;
    this.connection = connection(() => this);
  }

  static async connect(broker: Server): Promise<Peer> {
    const { host, port } = parseAddress(broker.nameServer)!;
    const transport = await defaultTransport();
    const socket = await transport.connect(host, port, { signal: new AbortController().signal });
    return new Peer(
      broker,
      (peer) => new Connection(socket, broker.nameServer, { onRequest: (request) => peer().#take(request) }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.connection.close();
    return this.connection.closed.then(() => {});
  }

  #take(request: Command): Reply | Promise<Reply> {
    this.#pushed.push(request);
    if (request.code === notifyConsumerIdsChanged.code) this.notified.push(request.fields.consumerGroup!);
    for (const wake of this.#waiting.splice(0)) wake();
    return this.answer(request);
  }

  /** Resolves when the broker has sent that many notifications. */
  async untilNotified(count: number): Promise<void> {
    while (this.notified.length < count) await this.#untilPushed();
  }

  /** Waits for a request of a kind from the broker. */
  async pushed(code: number): Promise<Command> {
    for (;;) {
      const request = this.#pushed.find((each) => each.code === code);
      if (request !== undefined) return request;
      await this.#untilPushed();
    }
  }

  #untilPushed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Sends a request of the table. */
  ask<S extends RequestSpec>(spec: S, header: HeaderOf<S["header"]>, options: AskOptions = {}): Promise<Command> {
    return this.askText(spec, encodeHeader<S["header"]>(spec.header, header), options);
  }

  /** Sends a request with header fields as text. */
  askText(spec: { name: string; code: number }, fields: HeaderText, options: AskOptions = {}): Promise<Command> {
    const { body, version } = options;
    const bytes = body === undefined || body instanceof Uint8Array
      ? body
      : utf8.encode(typeof body === "string" ? body : JSON.stringify(body));
    const { name, code } = spec;
    const request = {
      name,
      code,
      fields: JsonFields.ofText(fields),
      body: bytes,
      ...(version === undefined ? {} : { version }),
    };
    return this.connection.request(request, { timeout: 20_000 });
  }

  /** Sends a message. */
  send(message: SentMessage): Promise<Command> {
    const { body = "hello", with: properties = {}, version, ...header } = message;
    return this.ask(sendMessage, {
      producerGroup: "producers",
      defaultTopic: "TBW102",
      defaultTopicQueueNums: 4,
      queueId: 0,
      sysFlag: 0,
      bornTimestamp: 1_700_000_000_000,
      flag: 0,
      properties: encodeProperties(Object.entries(properties)),
      ...header,
    }, { body, ...(version === undefined ? {} : { version }) });
  }

  /** Pulls, by default of all messages and without being held. */
  pull(
    header: Partial<HeaderOf<typeof pullMessage.header>> & { topic: string },
    options: AskOptions = {},
  ): Promise<Command> {
    return this.ask(pullMessage, {
      consumerGroup: "billing",
      queueId: 0,
      queueOffset: 0,
      maxMsgNums: 32,
      sysFlag: 4,
      commitOffset: 0,
      suspendTimeoutMillis: 15_000,
      subscription: "*",
      subVersion: 0,
      ...header,
    }, options);
  }

  /** Pulls and reads the messages. */
  async messages(header: Partial<HeaderOf<typeof pullMessage.header>> & { topic: string }): Promise<StoredMessage[]> {
    const { body } = await this.pull(header);
    const queue = { topic: header.topic, broker: this.#broker.brokerName, queueId: header.queueId ?? 0 };
    return decodeRecords(body, queue).messages;
  }

  /** Waits for a message in a queue and reads it, with those that came with it. */
  untilMessages(header: Partial<HeaderOf<typeof pullMessage.header>> & { topic: string }): Promise<StoredMessage[]> {
    return this.messages({ sysFlag: 6, ...header });
  }

  /** Pops, by default all messages of all queues and without being held. */
  pop(header: PopHeader): Promise<Command> {
    return this.ask(popMessage, {
      consumerGroup: "billing",
      queueId: -1,
      maxMsgNums: 32,
      invisibleTime: 60_000,
      pollTime: 0,
      bornTime: 0,
      initMode: 0,
      ...header,
    });
  }

  /** Pops and reads the messages. */
  async popped(header: PopHeader): Promise<PoppedMessage[]> {
    return this.read(header.topic, await this.pop(header));
  }

  /** Reads the messages of an answer to a pop. */
  read(topic: string, answer: Command): PoppedMessage[] {
    const { messages } = decodeRecords(answer.body, { topic, broker: this.#broker.brokerName, queueId: -1 });
    return receivePopped(messages, decodeHeader(popMessage.answer, answer.fields, "pop"), this.#broker.brokerName)
      .popped;
  }

  /** Acks a popped message. */
  ack(topic: string, receipt: PopReceipt, header: Partial<HeaderOf<typeof ackMessage.header>> = {}): Promise<Command> {
    return this.ask(ackMessage, { ...ackHeader(topic, receipt), ...header });
  }

  /** Changes a popped message's invisible time. */
  changeInvisible(
    topic: string,
    receipt: PopReceipt,
    invisibleTime: number,
    header: Partial<HeaderOf<typeof ackMessage.header>> = {},
  ): Promise<Command> {
    return this.ask(changeInvisibleTime, { ...ackHeader(topic, receipt), invisibleTime, ...header });
  }

  /** Joins a group, or changes its subscription. */
  join(group: string, subscriptions: SubscriptionData[], options: JoinOptions = {}): Promise<Command> {
    const { clientId = "client-1", model = "CLUSTERING", fingerprint = 0, withoutSub = false } = options;
    const consumer = {
      groupName: group,
      consumeType: "CONSUME_PASSIVELY",
      messageModel: model,
      consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
      subscriptionDataSet: subscriptions,
      unitMode: false,
    };
    return this.ask(heartbeat, {}, {
      body: {
        clientID: clientId,
        producerDataSet: [],
        consumerDataSet: [consumer],
        heartbeatFingerprint: fingerprint,
        withoutSub,
      },
    });
  }

  /** Resolves when all requests that were sent on this connection have been handled, or are held. */
  async served(): Promise<void> {
    await this.ask(getMaxOffset, { topic: "orders", queueId: 0 });
  }

  /** Joins producer groups. */
  joinProducers(clientId: string, ...groups: string[]): Promise<Command> {
    const producerDataSet = groups.map((groupName) => ({ groupName }));
    return this.ask(heartbeat, {}, { body: { clientID: clientId, producerDataSet, consumerDataSet: [] } });
  }

  /** Sends a message back. */
  sendBack(header: Partial<HeaderOf<typeof sendBack.header>> & { offset: number }): Promise<Command> {
    return this.ask(sendBack, { group: "billing", delayLevel: 0, ...header });
  }

  /** Commits an offset. */
  commit(group: string, topic: string, offset: number, queueId = 0): Promise<Command> {
    return this.ask(updateConsumerOffset, { consumerGroup: group, topic, queueId, commitOffset: offset });
  }

  /** Requests an offset. */
  query(group: string, topic: string, setZeroIfNotFound?: boolean): Promise<Command> {
    return this.ask(queryConsumerOffset, { consumerGroup: group, topic, queueId: 0, setZeroIfNotFound });
  }
}

type PopHeader = Partial<HeaderOf<typeof popMessage.header>> & { topic: string };

function ackHeader(topic: string, receipt: PopReceipt): HeaderOf<typeof ackMessage.header> {
  const consumerGroup = "billing";
  return {
    consumerGroup,
    topic: realPopTopic(consumerGroup, topic, receipt.retry),
    queueId: receipt.queueId,
    extraInfo: formatPopReceipt(receipt),
    offset: receipt.queueOffset,
  };
}

/** How a peer joins a group. */
export interface JoinOptions {
  /** The client's id. @default {"client-1"} */
  clientId?: string;
  /** The message model. @default {"CLUSTERING"} */
  model?: string;
  /** The heartbeat's fingerprint. @default {0} */
  fingerprint?: number;
  /** Whether the subscriptions are left out. @default {false} */
  withoutSub?: boolean;
}

/** A subscription by tags. */
export function subscription(topic: string, expression = "*", subVersion = 1): SubscriptionData {
  const tagsSet = expression === "*" ? [] : expression.split("||").map((tag) => tag.trim());
  const codeSet = tagsSet.map(javaHashCode);
  return { classFilterMode: false, topic, subString: expression, tagsSet, codeSet, subVersion, expressionType: "TAG" };
}

/** The body of an answer, as text. */
export function textOf(answer: Command): string {
  return new TextDecoder().decode(answer.body);
}

/** The body of an answer, as JSON. */
export function jsonOf(answer: Command): unknown {
  return JSON.parse(textOf(answer));
}

/** The bodies of popped messages, sorted. */
export function poppedTexts(messages: readonly PoppedMessage[]): string[] {
  return messages.map(({ message }) => message.text()).sort();
}

/** The code and the remark of an answer. */
export function outcome(answer: Command): (number | string | undefined)[] {
  return [answer.code, answer.remark];
}
