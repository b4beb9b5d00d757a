import { assert, assertEquals } from "@std/assert";
import { EmbeddedBroker } from "../../src/embedded/mod.ts";
import { SqlError } from "../../src/embedded/sql/errors.ts";
import { Expressions } from "../../src/embedded/sql/expressions.ts";
import { Connection } from "../../src/transport/connection.ts";
import { defaultTransport } from "../../src/transport/default.ts";
import { parseAddress } from "../../src/transport/transport.ts";
import { retryTopic } from "../../src/wire/names.ts";
import type { HeaderOf } from "../../src/wire/fields.ts";
import type { Command } from "../../src/wire/frame.ts";
import { JsonFields } from "../../src/wire/json_fields.ts";
import { encodeProperties } from "../../src/wire/properties.ts";
import { decodeRecords } from "../../src/wire/record.ts";
import {
  checkClientConfig,
  createTopic,
  heartbeat,
  pullMessage,
  type RequestSpec,
  sendMessage,
} from "../../src/wire/requests.ts";
import { startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { javaToolsMissing, ROCKETMQ_VERSIONS, type RocketMQVersion } from "../../tools/rocketmq/fetch.ts";
import { eventually } from "../transport/waiting.ts";
import { ALL, messages, type Outcome, REFUSED, rows } from "./sql_table.ts";

const missing = javaToolsMissing();
if (missing !== undefined) {
  if (Deno.env.get("CI")) throw new Error(`Cannot compare SQL filters with real brokers: ${missing}`);
  console.log(`skipped: SQL filters compared with real brokers: ${missing}`);
}

const TOPIC = "properties";
const SUSPEND = 2;
const OWN_SUBSCRIPTION = 4;

const encoder = new TextEncoder();

/** A broker, whichever it is. */
interface Server extends AsyncDisposable {
  readonly address: string;
  readonly isV5: boolean;
  /** Switches the property filter off; returns the address of a broker that is like this one, but for that. */
  switchOff(): Promise<string>;
}

async function startEmbedded(dialect: "5.x" | "4.9"): Promise<Server> {
  const broker = await EmbeddedBroker.start({ dialect });
  const other = await EmbeddedBroker.start({ dialect, propertyFilter: false });
  return {
    address: broker.nameServer,
    isV5: dialect === "5.x",
    switchOff: () => Promise.resolve(other.nameServer),
    [Symbol.asyncDispose]: async () => {
      await broker.close();
      await other.close();
    },
  };
}

async function startReal(version: RocketMQVersion): Promise<Server> {
  const cluster = await startRocketMQ({ version });
  const { address } = cluster.brokers[0]!;
  return {
    address,
    isV5: version.startsWith("5"),
    switchOff: async () => {
      await using peer = await RawPeer.connect(address);
      assertEquals((await peer.ask(updateBrokerConfig, {}, "enablePropertyFilter=false")).code, 0);
      return address;
    },
    [Symbol.asyncDispose]: () => cluster.stop(),
  };
}

const updateBrokerConfig = { name: "UpdateBrokerConfig", code: 25, header: {} } as const;

/** One connection that speaks raw requests. */
class RawPeer implements AsyncDisposable {
  #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async connect(address: string): Promise<RawPeer> {
    const { host, port } = parseAddress(address)!;
    const socket = await (await defaultTransport()).connect(host, port, { signal: new AbortController().signal });
    return new RawPeer(new Connection(socket, address, { onRequest: () => ({ code: 0 }) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close();
    await this.#connection.closed;
  }

  ask<S extends Pick<RequestSpec, "name" | "code" | "header">>(
    { name, code, header: fields }: S,
    header: HeaderOf<S["header"]>,
    body?: string | object,
  ): Promise<Command> {
    const text = typeof body === "object" ? JSON.stringify(body) : body;
    const request = { name, code, fields: JsonFields.of<S["header"]>(fields, header) };
    const bytes = text === undefined ? undefined : encoder.encode(text);
    return this.#connection.request({ ...request, body: bytes }, { timeout: 30_000 });
  }

  async createTopic(topic: string): Promise<void> {
    const { code } = await this.ask(createTopic, {
      topic,
      defaultTopic: "TBW102",
      readQueueNums: 1,
      writeQueueNums: 1,
      perm: 6,
      topicFilterType: "SINGLE_TAG",
      topicSysFlag: 0,
      order: false,
    });
    assertEquals(code, 0);
  }

  /** Sends a message whose body is its key. */
  async send(topic: string, name: string, properties: Readonly<Record<string, string>>): Promise<void> {
    const { code, remark } = await this.ask(sendMessage, {
      producerGroup: "producers",
      topic,
      defaultTopic: "TBW102",
      defaultTopicQueueNums: 1,
      queueId: 0,
      sysFlag: 0,
      bornTimestamp: Date.now(),
      flag: 0,
      properties: encodeProperties([["UNIQ_KEY", name], ...Object.entries(properties)]),
    }, name);
    assertEquals(code, 0, remark);
  }

  check(expression: string, expressionType = "SQL92"): Promise<Command> {
    const subscriptionData = subscription(TOPIC, expression, 1, expressionType);
    return this.ask(checkClientConfig, {}, { clientId: "client", group: "group", subscriptionData });
  }

  pull(header: Partial<HeaderOf<typeof pullMessage.header>>): Promise<Command> {
    return this.ask(pullMessage, {
      consumerGroup: "group",
      topic: TOPIC,
      queueId: 0,
      queueOffset: 0,
      maxMsgNums: 32,
      sysFlag: OWN_SUBSCRIPTION,
      commitOffset: 0,
      suspendTimeoutMillis: 15_000,
      subVersion: 0,
      expressionType: "SQL92",
      ...header,
    });
  }

  /** The bodies of what a pull gives. */
  async names(header: Partial<HeaderOf<typeof pullMessage.header>>): Promise<string> {
    const answer = await this.pull(header);
    assert([0, 19, 20].includes(answer.code), `${answer.code} ${answer.remark}`);
    return textsOf(answer, header.topic).join(" ");
  }

  /** Waits until all that was sent can be pulled. */
  async untilStored(topic: string, names: string): Promise<void> {
    const stored = () => this.names({ topic, subscription: "*", expressionType: "TAG" });
    await eventually(async () => await stored() === names, `${topic} holds "${names}"`);
  }

  async join(group: string, subscriptions: readonly object[]): Promise<void> {
    const consumer = {
      groupName: group,
      consumeType: "CONSUME_PASSIVELY",
      messageModel: "CLUSTERING",
      consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
      subscriptionDataSet: subscriptions,
      unitMode: false,
    };
    const { code } = await this.ask(heartbeat, {}, {
      clientID: "client",
      producerDataSet: [],
      consumerDataSet: [consumer],
    });
    assertEquals(code, 0);
  }
}

function subscription(topic: string, subString: string, subVersion: number, expressionType = "SQL92"): object {
  return { classFilterMode: false, topic, subString, tagsSet: [], codeSet: [], subVersion, expressionType };
}

function textsOf(answer: Command, topic = TOPIC): string[] {
  const queue = { topic, broker: "", queueId: 0 };
  return decodeRecords(answer.body, queue).messages.map((message) => message.text());
}

/** What is wrong with an expression, in short: the kind, and the place if it has one. */
function complaintOf(remark = ""): string {
  const [kind = ""] = remark.split(":");
  return [kind, ...(/line \d+, column \d+/.exec(remark) ?? [])].join(" ");
}

/** Everything that is compared, against one broker. */
async function compare(t: Deno.TestContext, server: Server): Promise<void> {
  await using peer = await RawPeer.connect(server.address);
  await peer.createTopic(TOPIC);
  for (const [name, properties] of Object.entries(messages)) await peer.send(TOPIC, name, properties);
  await peer.untilStored(TOPIC, ALL);

  await t.step(`${rows.length} expressions match what the table says`, async () => {
    const expressions = new Expressions(server.isV5);
    const found: [string, Outcome][] = [];
    for (const [expression] of rows) {
      const checked = await peer.check(expression);
      assert([0, 23].includes(checked.code), `${expression}: ${checked.code} ${checked.remark}`);
      const names = await peer.names({ subscription: expression });
      if (checked.code === 0) {
        found.push([expression, names]);
        continue;
      }
      assertEquals(names, ALL, `${expression} is refused, so it lets everything through`);
      const error = expressions.read(expression);
      assert(error instanceof SqlError, expression);
      assertEquals(complaintOf(checked.remark), complaintOf(error.remark), expression);
      found.push([expression, REFUSED]);
    }
    const expected = rows.map(([expression, outcome, in49 = outcome]): [string, Outcome] => [
      expression,
      server.isV5 || in49 === undefined ? outcome : in49,
    ]);
    assertEquals(found, expected);
  });

  await t.step("what is no SQL92 expression", async () => {
    assertEquals((await peer.check("anything at all", "TAG")).code, 0);
    assertEquals((await peer.check("a = 5", "OTHER")).code, 23);
    assertEquals((await peer.check("")).code, 23);
    assertEquals((await peer.pull({ subscription: "" })).code, 23);
    assertEquals(await peer.names({ subscription: "a = 5", expressionType: "OTHER" }), ALL);
  });

  await t.step("a group's subscription by heartbeat", async () => {
    const pull = { consumerGroup: "beating", sysFlag: 0, subVersion: 2 };
    await peer.join("beating", [subscription(TOPIC, "a = 5", 2)]);
    assertEquals(await peer.names(pull), "five plus arabic");
    assertEquals((await peer.pull({ ...pull, subVersion: 3 })).code, 25);
    await peer.join("beating", [subscription(TOPIC, "a = 10", 2)]);
    assertEquals(await peer.names(pull), "five plus arabic", "the same version is not taken over");
    await peer.join("beating", [subscription(TOPIC, "", 3)]);
    assertEquals((await peer.pull({ ...pull, subVersion: 3 })).code, 28);
    assertEquals(await peer.names(pull), "five plus arabic");
    await peer.join("beating", [subscription(TOPIC, "a >", 4)]);
    assertEquals((await peer.pull({ ...pull, subVersion: 4 })).code, 27);
    await peer.join("beating", [subscription(TOPIC, "a = 10", 5)]);
    assertEquals(await peer.names({ ...pull, subVersion: 5 }), "ten");
    assertEquals(await peer.names({ ...pull, sysFlag: OWN_SUBSCRIPTION, subscription: "a = 0" }), "no");
  });

  await t.step("the retry topic is not filtered by what the group filters its topic by", async () => {
    const topic = retryTopic("trying");
    await peer.join("trying", [subscription(TOPIC, "a = 5", 1), subscription(topic, "*", 1, "TAG")]);
    await peer.send(topic, "again", { a: "10" });
    await peer.untilStored(topic, "again");
    const pull = { consumerGroup: "trying", topic };
    assertEquals(await peer.names({ ...pull, sysFlag: 0, expressionType: "TAG", subVersion: 1 }), "again");
    assertEquals(await peer.names({ ...pull, subscription: "a = 5" }), "", "a pull of its own kind is");
  });

  await t.step("a held pull waits for a message that matches", async () => {
    await peer.createTopic("waiting");
    await peer.send("waiting", "old", {});
    await peer.untilStored("waiting", "old");
    await using waiting = await RawPeer.connect(server.address);
    const header = { topic: "waiting", sysFlag: OWN_SUBSCRIPTION | SUSPEND, queueOffset: 1, subscription: "a > 5" };
    const held = waiting.pull(header);
    await waiting.untilStored("waiting", "old"); // pulls behind the held one are answered: most likely it is held by now
    await peer.send("waiting", "less", { a: "4" });
    await peer.send("waiting", "broken", { a: "six" });
    await peer.untilStored("waiting", "old less broken");
    await peer.send("waiting", "more", { a: "6" });
    let answer = await held;
    if (answer.code === 20) answer = await waiting.pull({ ...header, queueOffset: 3 });
    assertEquals([answer.code, ...textsOf(answer)], [0, "more"]);
    assertEquals(answer.fields.nextBeginOffset, "4");
  });

  await t.step("a broker whose property filter is off", async () => {
    await using other = await RawPeer.connect(await server.switchOff());
    await other.createTopic(TOPIC);
    await other.join("beating", [subscription(TOPIC, "a = 10", 6)]);
    const remark = "The broker does not support consumer to filter message by SQL92";
    const answers = [
      await other.check("a = 5"),
      await other.check("a >"),
      await other.pull({ subscription: "a = 5" }),
      await other.pull({ subscription: "a >" }),
      await other.pull({ consumerGroup: "beating", sysFlag: 0, subVersion: 6 }),
    ];
    for (const answer of answers) assertEquals([answer.code, answer.remark], [1, remark]);
    await other.join("beating", [subscription(TOPIC, "a >", 7)]);
    assertEquals((await other.pull({ consumerGroup: "beating", sysFlag: 0, subVersion: 7 })).code, 27);
    assertEquals((await other.check("a = 5", "TAG")).code, 0);
  });
}

for (const dialect of ["5.x", "4.9"] as const) {
  Deno.test(`SQL filters of the embedded broker, dialect ${dialect}`, async (t) => {
    await using server = await startEmbedded(dialect);
    await compare(t, server);
  });
}

for (const version of ROCKETMQ_VERSIONS) {
  Deno.test({
    name: `SQL filters of RocketMQ ${version}`,
    ignore: missing !== undefined,
    fn: async (t) => {
      await using server = await startReal(version);
      await compare(t, server);
    },
  });
}
