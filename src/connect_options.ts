/**
 * Options of `connect()`.
 *
 * @module
 */

import type { Logger } from "./events.ts";
import { type Credentials, type CredentialsProvider, isCredentials } from "./cluster/credentials.ts";
import { OptionsCheck } from "./options.ts";
import { type Observer, OBSERVER_FUNCTIONS } from "./telemetry/observer.ts";
import { defaultTransport } from "./transport/default.ts";
import { isPem } from "./transport/pem.ts";
import { parseAddress, type TlsOptions, type Transport } from "./transport/transport.ts";

const DEFAULT_NAME_SERVER = "127.0.0.1:9876";
const VARIABLE = "NAMESRV_ADDR";

/**
 * Options of {@linkcode connect}. Durations are milliseconds. Unknown names are errors.
 *
 * @category Start
 */
export interface ConnectOptions {
  /**
   * The name servers: `"ns1:9876"`, several joined by `;`, or an array.
   *
   * @default {the environment's NAMESRV_ADDR if it may be read without asking, else "127.0.0.1:9876"}
   */
  nameServers?: string | readonly string[];
  /**
   * The account's keys, or a function that returns them: it is called at the start, and again when a broker has refused
   * the last ones. Every request is signed with them.
   *
   * @default {none: requests are not signed}
   */
  credentials?: Credentials | CredentialsProvider;
  /** Encrypts all connections; `true` checks certificates by the system's authorities. */
  tls?: boolean | TlsOptions;
  /**
   * How long name servers are tried at the start, 0 (each once) to 600 000 ms.
   *
   * @default {5_000}
   */
  startTimeout?: number;
  /**
   * How long a request may take, connecting included, 100 to 600 000 ms. A held pull has its hold and 15 s more.
   *
   * @default {3_000}
   */
  requestTimeout?: number;
  /**
   * Between two heartbeats, 1 000 to 60 000 ms.
   *
   * @default {30_000}
   */
  heartbeatInterval?: number;
  /**
   * Between two refreshes of the routes, 1 000 to 60 000 ms.
   *
   * @default {30_000}
   */
  routeInterval?: number;
  /** Turns an address that a name server or broker announces into one that can be reached from here. */
  mapAddress?: (address: string) => string;
  /**
   * Takes warnings, errors and recoveries as lines of text, each kind at most once a minute; `false` for none.
   *
   * @default {console}
   */
  logger?: Logger | false;
  /**
   * Observe what the client does, for tracing and metrics. One that throws is reported by the event `observerFailed`,
   * and changes nothing else.
   *
   * @default {[]}
   */
  observers?: readonly Observer[];
  /** Opens sockets. @default {that of the runtime} */
  transport?: Transport;
  /** Ends connecting when it aborts. */
  signal?: AbortSignal;
}

/** What errors show of credentials. */
const HIDDEN = "(hidden)";

/** Options with every default filled in. */
export interface CheckedConnectOptions {
  /** `host:port` of the name servers, at least one. */
  readonly nameServers: readonly string[];
  /** Encrypts connections. */
  readonly tls: TlsOptions | undefined;
  /** The account's keys. */
  readonly credentials: Credentials | CredentialsProvider | undefined;
  /** How long name servers are tried at the start. */
  readonly startTimeout: number;
  /** How long one request may take. */
  readonly requestTimeout: number;
  /** Between two heartbeats. */
  readonly heartbeatInterval: number;
  /** Between two refreshes of the routes. */
  readonly routeInterval: number;
  /** Turns an address into one that can be reached from here. */
  readonly mapAddress: (address: string) => string;
  /** Takes warnings and errors. */
  readonly logger: Logger | false | undefined;
  /** Observe what the client does. */
  readonly observers: readonly Observer[];
  /** Opens sockets. */
  readonly transport: Transport;
  /** Ends connecting when it aborts. */
  readonly signal: AbortSignal | undefined;
}

const names: readonly (keyof ConnectOptions)[] = [
  "nameServers",
  "credentials",
  "tls",
  "startTimeout",
  "requestTimeout",
  "heartbeatInterval",
  "routeInterval",
  "mapAddress",
  "logger",
  "observers",
  "transport",
  "signal",
];

/**
 * The options of a call of `connect()`, which may have the address before them.
 *
 * @throws {ConfigError} for arguments that contradict each other
 */
export function connectOptionsOf(
  address: string | ConnectOptions,
  options: ConnectOptions | undefined,
): ConnectOptions {
  const check = new OptionsCheck("connect");
  if (options === undefined) return typeof address === "string" ? { nameServers: address } : address;
  if (typeof address !== "string") {
    const problem = 'with two arguments the first is the address: connect("ns1:9876", options), else connect(options)';
    check.explain("address", address, "a text of the form host:port", problem);
    check.done();
  }
  if (typeof options === "object" && options !== null && options.nameServers !== undefined) {
    const problem = "nameServers is given twice: leave out the first argument or the option";
    check.explain("nameServers", options.nameServers, "only one of the two", problem);
    check.done();
  }
  if (typeof options !== "object" || options === null || Array.isArray(options)) return options;
  return { ...options, nameServers: address as string };
}

/**
 * Fills in the defaults.
 *
 * @throws {ConfigError} naming every problem
 */
export async function checkConnectOptions(given: ConnectOptions): Promise<CheckedConnectOptions> {
  const check = new OptionsCheck("connect");
  check.known(given, names);
  check.shape("mapAddress", given.mapAddress, "a function from an address to an address", isFunction);
  check.shape("logger", given.logger, "false, or an object with warn and error, and info if there is one", isLogger);
  check.shape("observers", given.observers, "an array of objects with functions like onSend", isObservers);
  check.shape("transport", given.transport, "an object with connect, listen and environment", isTransport);
  check.shape("signal", given.signal, "an AbortSignal", (value) => value instanceof AbortSignal);
  if (given.credentials !== undefined && !isFunction(given.credentials) && !isCredentials(given.credentials)) {
    check.add("credentials", HIDDEN, "an object with accessKey and secretKey, both texts, or a function returning one");
  }
  check.shape("tls", given.tls, "true, false, or an object with caCerts, serverName and verify", isTls);
  if (isTls(given.tls)) checkAuthorities(check, given.tls);
  const timing = {
    startTimeout: check.integer("startTimeout", given.startTimeout, 5_000, 0, 600_000, "ms"),
    requestTimeout: check.integer("requestTimeout", given.requestTimeout, 3_000, 100, 600_000, "ms"),
    heartbeatInterval: check.integer("heartbeatInterval", given.heartbeatInterval, 30_000, 1_000, 60_000, "ms"),
    routeInterval: check.integer("routeInterval", given.routeInterval, 30_000, 1_000, 60_000, "ms"),
  };
  const transport = isTransport(given.transport) ? given.transport : await defaultTransport();
  const nameServers = checkNameServers(check, given.nameServers, transport);
  check.done();
  const { credentials, signal, logger, observers = [], mapAddress = (address: string) => address } = given;
  const tls = given.tls === true ? {} : given.tls === false ? undefined : given.tls;
  return {
    ...timing,
    ...{ nameServers, credentials, tls, mapAddress, logger, observers: [...observers], transport, signal },
  };
}

function checkNameServers(check: OptionsCheck, given: unknown, transport: Transport): readonly string[] {
  const fromEnvironment = given === undefined ? transport.environment(VARIABLE) || undefined : undefined;
  const value = given === undefined ? fromEnvironment ?? DEFAULT_NAME_SERVER : given;
  const parts: readonly unknown[] = typeof value === "string" ? value.split(/[;,]/) : Array.isArray(value) ? value : [];
  const addresses = parts.map((part) => typeof part === "string" ? part.trim() : part).filter((part) => part !== "");
  const bad = addresses.find((address) => typeof address !== "string" || parseAddress(address) === undefined);
  if (addresses.length === 0 || bad !== undefined) {
    const field = fromEnvironment === undefined ? "nameServers" : `the environment's ${VARIABLE}`;
    check.add(field, bad ?? value, `host:port, several joined by ";" or in an array: "ns1:9876;ns2:9876"`);
  }
  return addresses as readonly string[];
}

function has(value: unknown, ...methods: string[]): boolean {
  return typeof value === "object" && value !== null &&
    methods.every((method) => isFunction((value as Record<string, unknown>)[method]));
}

function isFunction(value: unknown): boolean {
  return typeof value === "function";
}

function isLogger(value: unknown): boolean {
  return value === false || has(value, "warn", "error");
}

function isObservers(value: unknown): boolean {
  return Array.isArray(value) && value.every(isObserver);
}

function isObserver(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return OBSERVER_FUNCTIONS.every((name) => {
    const given: unknown = Reflect.get(value, name);
    return given === undefined || isFunction(given);
  });
}

function isTransport(value: unknown): value is Transport {
  return has(value, "connect", "listen", "environment");
}

/** The texts are not shown: who mixes up two files would have a private key in a log. */
function checkAuthorities(check: OptionsCheck, tls: boolean | TlsOptions | undefined): void {
  const { caCerts = [] } = typeof tls === "object" ? tls : {};
  for (const [i, pem] of caCerts.entries()) {
    if (isPem(pem)) continue;
    const problem = `tls.caCerts[${i}] is no certificate in PEM that can be read; ` +
      "it is the text of a file that begins with -----BEGIN CERTIFICATE-----, not the file's path";
    check.explain(`tls.caCerts[${i}]`, HIDDEN, "a certificate in PEM", problem);
  }
}

function isTls(value: unknown): boolean {
  if (typeof value === "boolean") return true;
  if (typeof value !== "object" || value === null) return false;
  const { caCerts = [], serverName = "", verify = true, ...unknown } = value as Record<string, unknown>;
  return Array.isArray(caCerts) && caCerts.every((pem) => typeof pem === "string") && typeof serverName === "string" &&
    typeof verify === "boolean" && Object.keys(unknown).length === 0;
}
