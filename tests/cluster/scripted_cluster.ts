/** A name server and brokers whose answers are a test's, and clusters that are connected to them. */

import { Cluster, type ClusterOptions } from "../../src/cluster/cluster.ts";
import { EventHub, type StatusEvent } from "../../src/events.ts";
import { denoTransport } from "../../src/transport/deno.ts";
import type { ConsumerData, HeartbeatData, TopicRouteData } from "../../src/wire/bodies.ts";
import type { Command } from "../../src/wire/frame.ts";
import { getRoute, heartbeat } from "../../src/wire/requests.ts";
import {
  type Script,
  type ScriptedPeer,
  ScriptedServer,
  type ScriptedServerOptions,
} from "../transport/scripted_server.ts";
import { Changes } from "../transport/waiting.ts";

const utf8 = new TextEncoder();

/** A name server that answers with what `routes` holds, unless `script` takes the request. */
export class ScriptedNameServer extends ScriptedServer {
  readonly routes: Map<string, TopicRouteData>;

  constructor(routes: Record<string, TopicRouteData> = {}, script: Script = () => {}) {
    const known = new Map(Object.entries(routes));
    super((asked, peer) => {
      script(asked, peer);
      if (asked.code !== getRoute.code || taken.has(asked)) return;
      const route = known.get(asked.fields["topic"] ?? "");
      if (route === undefined) peer.answer(asked, { code: 17, remark: "No topic route info" });
      else peer.answer(asked, { body: utf8.encode(JSON.stringify(route)) });
    });
    this.routes = known;
  }
}

const taken = new WeakSet<Command>();

/** Marks a request as one that gets no usual answer. */
export function take(asked: Command): void {
  taken.add(asked);
}

/** A broker that answers every request with success, unless `script` takes the request. */
export class ScriptedBroker extends ScriptedServer {
  constructor(script: Script = () => {}, options: ScriptedServerOptions = {}) {
    super((asked, peer) => {
      script(asked, peer);
      if (!taken.has(asked) && asked.flag === 0) peer.answer(asked, { fields: { offset: "12" }, version: 479 });
    }, options);
  }

  /** The codes of the requests that a connection has brought, in order. */
  codes(index: number): number[] {
    return this.peers[index]?.requests.map(({ code }) => code) ?? [];
  }

  /** The bodies of the heartbeats that have come. */
  get heartbeats(): HeartbeatData[] {
    return this.requests.filter(({ code }) => code === heartbeat.code).map(({ body }) =>
      JSON.parse(new TextDecoder().decode(body))
    );
  }
}

/** A route over brokers, each with as many queues, readable and writable. */
export function routeOver(brokers: Record<string, Record<number, string>>, queues = 1): TopicRouteData {
  const names = Object.entries(brokers);
  return {
    queueDatas: names.map(([brokerName]) => ({ brokerName, perm: 6, readQueueNums: queues, writeQueueNums: queues })),
    brokerDatas: names.map(([brokerName, brokerAddrs]) => ({ cluster: "c", brokerName, brokerAddrs })),
  };
}

/** A consumer as heartbeats describe it. */
export function consumerData(groupName: string): ConsumerData {
  return {
    groupName,
    consumeType: "CONSUME_PASSIVELY",
    messageModel: "CLUSTERING",
    consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
    subscriptionDataSet: [],
    unitMode: false,
  };
}

/** A cluster that closes with the test, its events, and what it logged. */
export class TestCluster {
  readonly cluster: Cluster;
  readonly events: StatusEvent[];
  readonly logged: string[];
  #changes: Changes;
  #hub: EventHub;
  #reading: Promise<void>;

  static async connect(nameServer: string, options: Partial<ClusterOptions> = {}): Promise<TestCluster> {
    const logged: string[] = [];
    const log = (text: string) => void logged.push(text);
    const hub = new EventHub({ warn: log, error: log });
    const cluster = await Cluster.connect({
      nameServers: [nameServer],
      transport: denoTransport,
      mapAddress: (address) => address,
      startTimeout: 20_000,
      requestTimeout: 20_000,
      heartbeatInterval: 60_000,
      routeInterval: 60_000,
      events: hub,
      ...options,
    });
    return new TestCluster(cluster, hub, logged);
  }

  private constructor(cluster: Cluster, hub: EventHub, logged: string[]) {
    const events: StatusEvent[] = [];
    const changes = new Changes();
    this.cluster = cluster;
    this.events = events;
    this.logged = logged;
    this.#hub = hub;
    this.#changes = changes;
    this.#reading = (async () => {
      for await (const event of hub.read()) {
        events.push(event);
        changes.notify();
      }
    })();
  }

  /** The types of the events so far. */
  get types(): string[] {
    return this.events.map(({ type }) => type);
  }

  /** The first event of that type, as soon as it is there. */
  async event(type: StatusEvent["type"], index = 0): Promise<StatusEvent> {
    const found = () => this.events.filter((event) => event.type === type)[index];
    await this.#changes.until(() => found() !== undefined, `event ${type} ${index}`);
    return found()!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.close();
    this.#hub.close();
    await this.#reading;
  }
}

/** What a watcher of a cluster was called with. */
export class WatcherLog {
  readonly lines: string[] = [];
  #changes = new Changes();

  onRouteChanged({ topic }: { topic: string }): void {
    this.note(`route ${topic}`);
  }

  onBrokerRecovered(broker: string): number {
    this.note(`back ${broker}`);
    return 5;
  }

  /** Resolves when there are that many lines. */
  until(count: number): Promise<void> {
    return this.#changes.until(() => this.lines.length >= count, `${count} lines, watched ${this.lines}`);
  }

  protected note(line: string): void {
    this.lines.push(line);
    this.#changes.notify();
  }
}

export type { ScriptedPeer };
