/**
 * Runs scenarios on a broker: those that share it several at a time, then the others one by one.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { type Client, connect, type ConnectOptions, type StatusEvent } from "../../mod.ts";
import { CuttableTransport } from "./cuttable_transport.ts";
import {
  type Scenario,
  type Scene,
  type TestBroker,
  type TestClient,
  type TestServers,
  waitUntil,
  within,
} from "./harness.ts";

/** How long one scenario may take, unless it says otherwise, in milliseconds. */
const SCENARIO_TIMEOUT = 60_000;
/** How long a client may take to close, in milliseconds. */
const CLOSE_TIMEOUT = 10_000;
/** How many events of each client a failure tells. */
const EVENTS_SHOWN = 8;

/** A broker or a cluster, and how it ends. */
export interface StartedBroker<S extends TestServers = TestBroker> {
  /** The broker, or the cluster. */
  readonly broker: S;
  /** Ends it; nothing is left. */
  stop(): Promise<void>;
}

/** Runs one scenario under a name, and does not reject: how a test framework reports a step. */
export type Report = (name: string, run: () => Promise<void>) => Promise<unknown>;

/** Runs scenarios that fit the broker; `concurrency` of those that may share it at a time. */
export async function runScenarios<S extends TestServers>(
  broker: S,
  scenarios: readonly Scenario<S>[],
  report: Report,
  concurrency: number,
): Promise<void> {
  const fitting = scenarios.filter(({ on }) => on?.(broker) ?? true);
  const shared = fitting.filter(({ alone }) => alone !== true);
  const run = (scenario: Scenario<S>) =>
    report(`${broker.name}: ${scenario.name}`, () => runScenario(broker, scenario));
  const worker = async () => {
    for (let scenario = shared.shift(); scenario !== undefined; scenario = shared.shift()) await run(scenario);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  for (const scenario of fitting.filter(({ alone }) => alone === true)) await run(scenario);
}

/** Runs one scenario, and ends whatever it has opened. */
export async function runScenario<S extends TestServers>(broker: S, scenario: Scenario<S>): Promise<void> {
  const scene = new RunningScene(broker);
  const errors: unknown[] = [];
  try {
    const ended = Promise.race([scenario.run(scene), scene.failed]);
    await within(ended, "the end of the scenario", scenario.timeout ?? SCENARIO_TIMEOUT);
  } catch (error) {
    errors.push(error);
  }
  await scene.end(errors);
  if (errors.length === 0) return;
  const text = errors.map((error) => error instanceof Error ? error.message : String(error)).join("\nthen: ");
  throw new Error(`${text}${scene.story()}`, { cause: errors[0] });
}

let names = 0;

class RunningScene<S extends TestServers> implements Scene<S> {
  readonly broker: S;
  #clients: TestClient[] = [];
  #groups: string[] = [];
  #actions: (() => unknown)[] = [];
  /** Rejects when something fails that goes on beside the scenario. */
  readonly failed: Promise<never>;
  #fail!: (reason: unknown) => void;

  constructor(broker: S) {
    this.broker = broker;
    this.failed = new Promise((_, reject) => this.#fail = reject);
    this.failed.catch(() => {}); // after the scenario's end nobody asks
  }

  name(what: string): string {
    return `${what}-${++names}`;
  }

  async topic(queues = 4): Promise<string> {
    const topic = this.name("topic");
    await this.broker.createTopic(topic, queues);
    return topic;
  }

  group(): string {
    const group = this.name("group");
    this.#groups.push(group);
    return group;
  }

  async client(options: ConnectOptions = {}): Promise<TestClient> {
    const transport = await CuttableTransport.make();
    const mq = await connect({ nameServers: this.broker.nameServer, transport, logger: false, ...options });
    const events: StatusEvent[] = [];
    readInto(events, mq);
    const client: TestClient = {
      mq,
      transport,
      events,
      untilEvent: (type, matches = () => true) =>
        waitUntil(() => events.find((event) => event.type === type && matches(event)), {
          what: () => `an event "${type}"; there were ${events.map((event) => event.type).join(", ")}`,
        }),
    };
    this.#clients.push(client);
    return client;
  }

  async connect(options: ConnectOptions = {}): Promise<Client> {
    return (await this.client(options)).mq;
  }

  background<T>(work: () => Promise<T>): Promise<T> {
    const running = work();
    running.catch((error) => this.#fail(error));
    return running;
  }

  finally(action: () => unknown): void {
    this.#actions.push(action);
  }

  print(text: string): void {
    console.log(`  ${this.broker.name}: ${text}`);
  }

  /** Ends everything, whatever fails on the way: that is added to `errors`. */
  async end(errors: unknown[]): Promise<void> {
    const attempt = async (work: () => unknown) => {
      try {
        await work();
      } catch (error) {
        errors.push(error);
      }
    };
    for (const action of this.#actions.reverse()) await attempt(action);
    const close = ({ mq }: TestClient) => within(mq.close(), "the end of close()", CLOSE_TIMEOUT);
    await Promise.all(this.#clients.map((client) => attempt(() => close(client))));
    const open = this.#clients.map(({ transport }) => transport.open);
    await attempt(() => assertEquals(open, open.map(() => 0), "sockets that are still open"));
    await Promise.all(this.#groups.map((group) => attempt(() => this.#untilEmpty(group))));
  }

  /** What the clients told, for the message of a failure. */
  story(): string {
    return this.#clients.map(({ mq, events }) => {
      const lines = events.slice(-EVENTS_SHOWN).map(({ at, type, text, error }) => {
        const cause = error instanceof Error ? ` (${error.name}: ${error.message})` : "";
        return `\n    ${at.toISOString().slice(17, 23)} ${type}: ${text}${cause}`;
      });
      return `\n  events of ${mq.clientId}:${lines.join("")}`;
    }).join("");
  }

  async #untilEmpty(group: string): Promise<void> {
    await waitUntil(async () => (await this.broker.consumerList(group)).length === 0, {
      what: `no member is left in group ${group}`,
    });
  }
}

/** Gathers what a client tells until it closes. A failure of `status()` shows as missing events. */
async function readInto(events: StatusEvent[], mq: Client): Promise<void> {
  for await (const event of mq.status()) events.push(event);
}
