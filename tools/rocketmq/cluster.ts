/**
 * Starts a real RocketMQ, name servers and brokers, in a temporary folder.
 *
 * ```ts ignore
 * const rocketmq = await startRocketMQ({ version: "5.3.3" });
 * try {
 *   await useIt(rocketmq.nameServer);
 * } finally {
 *   await rocketmq.stop();
 * }
 * ```
 *
 * @module
 */

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fetchRocketMQ, type RocketMQVersion } from "./fetch.ts";
import { JavaServer, type RealServer } from "./java_server.ts";
import { accepts, clusterInfo, freePorts, HOST, registerNow } from "./probe.ts";
import {
  brokerSettings,
  javaArgs,
  logbackFile,
  MEMORY,
  type Program,
  properties,
  SERVER_LOGBACK,
  SILENT_LOGBACK,
} from "./server_config.ts";
import { startWatchdog, type Watchdog } from "./watchdog.ts";

export type { RealServer } from "./java_server.ts";
export type { RocketMQVersion } from "./fetch.ts";

const MAIN_CLASS: Record<Program, string> = {
  namesrv: "org.apache.rocketmq.namesrv.NamesrvStartup",
  broker: "org.apache.rocketmq.broker.BrokerStartup",
  tools: "org.apache.rocketmq.tools.command.MQAdminStartup",
};

/** How long a broker that accepts connections is given to register by itself, in milliseconds. */
const REGISTER_TIMEOUT = 1_000;

/** How long one command of the admin tool may take, in milliseconds. */
const TOOL_TIMEOUT = 60_000;

/** A broker of a running cluster. */
export type RealBroker = RealServer;

/** Options of {@linkcode startRocketMQ}. */
export interface StartRocketMQOptions {
  /** What to start; fetched first if it is not in the cache. */
  version: RocketMQVersion;
  /**
   * How many brokers. They are masters named `broker-a`, `broker-b`, …
   *
   * @default {1}
   */
  brokers?: number;
  /**
   * How many name servers. Every broker registers with all of them.
   *
   * @default {1}
   */
  nameServers?: number;
  /** Lines of `broker.conf` for every broker, on top of the defaults in `server_config.ts`. */
  brokerConfig?: Record<string, string>;
  /** Lines of the name server's configuration: `{ orderMessageEnable: "true" }` makes it serve order topics as such. */
  nameServerConfig?: Record<string, string>;
  /**
   * Lines of `broker.conf` for the broker of an index, on top of `brokerConfig`.
   *
   * A slave of the first broker is `{ brokerName: "broker-a", brokerId: "1", brokerRole: "SLAVE" }`.
   */
  perBroker?: (index: number) => Record<string, string>;
  /**
   * More arguments of `java` for all servers: properties and flags, which win over the defaults.
   *
   * TLS, with a certificate of the server's own making, is `["-Dtls.server.mode=permissive"]`.
   */
  javaOptions?: string[];
  /** Files to put into `ROCKETMQ_HOME`, text by path: `{ "conf/plain_acl.yml": "…" }`. */
  files?: Record<string, string>;
}

/** A running cluster. */
export interface RealRocketMQ {
  readonly version: RocketMQVersion;
  /** The `host:port` of the name server; of several, joined by `;`. */
  readonly nameServer: string;
  /** The name servers themselves. Brokers come back to a restarted one within ten seconds. */
  readonly names: readonly RealServer[];
  /** The brokers, in the order of their names. */
  readonly brokers: readonly RealBroker[];
  /** The folder of configurations, stores and outputs. It goes with {@linkcode stop}. */
  readonly folder: string;
  /**
   * Runs Java's admin tool: `mqadmin(["updateTopic", "-t", "orders", "-c", "DefaultCluster"])`.
   *
   * `-n` is added where it is missing. Most commands exit with 0 even when they fail: read what they print.
   */
  mqadmin(args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  /** Kills everything and removes the folder. A second call does nothing. */
  stop(): Promise<void>;
  /** The same as {@linkcode stop}. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a cluster and waits until every name server lists every broker.
 *
 * Servers listen on free ports of 127.0.0.1. If this process ends first, even by SIGKILL, they are killed
 * and the folder is removed.
 *
 * @throws {Error} If a server ends or is not ready within a minute: the message ends with its last output.
 */
export async function startRocketMQ(options: StartRocketMQOptions): Promise<RealRocketMQ> {
  const release = await fetchRocketMQ(options.version);
  const folder = await mkdtemp(join(tmpdir(), "denorocket-"));
  const cluster = new Cluster(options.version, release, folder);
  try {
    await cluster.start(options);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

class Cluster implements RealRocketMQ {
  readonly version: RocketMQVersion;
  readonly folder: string;
  readonly brokers: RealBroker[] = [];
  readonly #release: string;
  readonly names: RealServer[] = [];
  readonly #servers: JavaServer[] = []; // all of them
  readonly #watchdog: Watchdog;

  constructor(version: RocketMQVersion, release: string, folder: string) {
    this.version = version;
    this.folder = folder;
    this.#release = release;
    this.#watchdog = startWatchdog(folder);
  }

  get nameServer(): string {
    return this.names.map(({ address }) => address).join(";");
  }

  async start(options: StartRocketMQOptions): Promise<void> {
    const { brokers = 1, nameServers = 1, files = {} } = options;
    await this.#write(logbackFile("namesrv"), SERVER_LOGBACK);
    await this.#write(logbackFile("broker"), SERVER_LOGBACK);
    await this.#write(logbackFile("tools"), SILENT_LOGBACK);
    for (const [path, text] of Object.entries(files)) await this.#write(path, text);

    // One port for each name server, then four for each broker: fast, unused, listen, HA.
    const port = await freePorts(nameServers + 4 * brokers);
    for (let index = 0; index < nameServers; index++) {
      this.names.push(await this.#addNameServer(index, port + index, options));
    }
    await Promise.all(this.names.map((names) => names.start())); // a broker that finds none tries again after ten seconds
    for (let index = 0; index < brokers; index++) {
      this.brokers.push(await this.#addBroker(index, port + nameServers + 2 + 4 * index, options));
    }
    await Promise.all(this.brokers.map((broker) => broker.start()));
  }

  mqadmin(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const command = args.includes("-n") ? args : [...args, "-n", this.nameServer];
    const java = [...javaArgs(this.#release, "tools", "tools"), ...MEMORY.tools, MAIN_CLASS.tools, ...command];
    const env = { ...process.env, ...this.#env() };
    const options = { cwd: this.folder, env, timeout: TOOL_TIMEOUT, maxBuffer: 64 * 1024 * 1024 };
    return new Promise((resolve) => {
      execFile("java", java, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, stdout, stderr });
      });
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.kill()));
    await this.#watchdog.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #addNameServer(index: number, port: number, options: StartRocketMQOptions): Promise<JavaServer> {
    const settings = { listenPort: String(port), ...options.nameServerConfig };
    return this.#add({
      program: "namesrv",
      name: "namesrv",
      folder: index === 0 ? "namesrv" : `namesrv-${index + 1}`,
      port,
      settings,
      isReady: () => accepts(port),
    }, options);
  }

  #addBroker(index: number, port: number, options: StartRocketMQOptions): Promise<JavaServer> {
    const folder = `broker-${String.fromCharCode("a".charCodeAt(0) + index)}`;
    const settings: Record<string, string> = {
      ...brokerSettings({ name: folder, port, nameServer: this.nameServer, store: join(this.folder, folder, "store") }),
      ...options.brokerConfig,
      ...options.perBroker?.(index),
    };
    const name = settings["brokerName"] ?? folder;
    const isReady = isRegistered(port, this.names.map(({ address }) => Number(address.split(":")[1])));
    return this.#add({ program: "broker", name, folder, port, settings, isReady }, options);
  }

  async #add(plan: ServerPlan, options: StartRocketMQOptions): Promise<JavaServer> {
    const { program, name, folder, port, settings, isReady } = plan;
    const configFile = join(folder, "server.conf");
    await this.#write(configFile, properties(settings));
    const java = [...javaArgs(this.#release, program, folder), ...MEMORY[program], ...options.javaOptions ?? []];
    const server = new JavaServer({
      name,
      address: `${HOST}:${port}`,
      args: [...java, MAIN_CLASS[program], "-c", configFile],
      env: this.#env(),
      cwd: this.folder,
      watchdog: this.#watchdog,
      outputFile: join(this.folder, folder, "output.log"),
      isReady,
    });
    this.#servers.push(server);
    return server;
  }

  #env(): Record<string, string> {
    return { ROCKETMQ_HOME: this.folder };
  }

  async #write(path: string, text: string): Promise<void> {
    const file = join(this.folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}

interface ServerPlan {
  program: Program;
  name: string;
  /** Inside the cluster's folder: configuration, output, store. */
  folder: string;
  port: number;
  settings: Record<string, string>;
  isReady: () => Promise<boolean>;
}

/**
 * Whether a broker accepts connections and all name servers list its address (a slave bears its master's name).
 *
 * 5.3.3 looks for name servers in the background while it starts. If that takes too long, it registers with none and
 * tries again ten seconds later: it is nudged before.
 */
function isRegistered(port: number, nameServerPorts: readonly number[]): () => Promise<boolean> {
  let acceptedAt: number | undefined;
  return async () => {
    if (!await accepts(port)) {
      acceptedAt = undefined;
      return false;
    }
    const lists = await Promise.all(nameServerPorts.map(clusterInfo));
    if (lists.every((list) => list.includes(`"${HOST}:${port}"`))) return true;
    acceptedAt ??= Date.now();
    if (Date.now() - acceptedAt > REGISTER_TIMEOUT) await registerNow(port);
    return false;
  };
}
