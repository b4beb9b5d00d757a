/**
 * The options that embedded brokers and name servers share.
 *
 * @module
 */

import type { Transport } from "../transport/transport.ts";
import { parseAddress } from "../wire/host.ts";
import { isRecord, only, type OptionCheck, whole } from "./checks.ts";

/**
 * Options of every embedded server: its address, its limits and the version that it imitates.
 *
 * @category Test
 */
export interface EmbeddedServerOptions {
  /**
   * The TCP port, 0 to 65535; 0 selects a free one.
   *
   * @default {0}
   */
  port?: number;
  /**
   * The IP address on which the port is opened. With `0.0.0.0` or `::` clients receive the loopback address.
   *
   * @default {"127.0.0.1"}
   */
  host?: string;
  /**
   * The largest number of client connections, 1 to 1 000 000; a further one is closed at once.
   *
   * @default {10_000}
   */
  maxConnections?: number;
  /**
   * How many bytes of answers may wait for a client that does not read, 65 536 to 2 000 000 000. A connection with more
   * is closed.
   *
   * @default {67_108_864}
   */
  maxUnreadBytes?: number;
  /**
   * How many bytes of incomplete requests may be buffered for all connections together, 65 536 to 2 000 000 000. Above
   * it the connection with the largest incomplete request is closed. A request has at most 16 MiB, and one that is
   * larger than this option is not accepted.
   *
   * @default {268_435_456}
   */
  maxUnfinishedBytes?: number;
  /**
   * The version that is imitated where the two differ in what a client can observe: 5.x (5.5.0 and 5.3.3) or 4.9.7.
   *
   * @default {"5.x"}
   */
  dialect?: "5.x" | "4.9";
  /**
   * The transport that opens the port.
   *
   * @default the TCP transport of the runtime
   */
  transport?: Transport;
}

/** The options with their default values; a transport is loaded when the server starts. */
export type CheckedServerOptions =
  & Required<Omit<EmbeddedServerOptions, "transport">>
  & Readonly<Pick<EmbeddedServerOptions, "transport">>;

/** The default values. */
export const serverDefaults: CheckedServerOptions = {
  port: 0,
  host: "127.0.0.1",
  maxConnections: 10_000,
  maxUnreadBytes: 67_108_864,
  maxUnfinishedBytes: 268_435_456,
  dialect: "5.x",
};

/** The allowed values. */
export const serverChecks: Readonly<Record<keyof EmbeddedServerOptions, OptionCheck>> = {
  port: whole(0, 65_535),
  host: only("an IP address", (value) => typeof value === "string" && parseAddress(value) !== undefined),
  maxConnections: whole(1, 1_000_000),
  maxUnreadBytes: whole(65_536, 2_000_000_000),
  maxUnfinishedBytes: whole(65_536, 2_000_000_000),
  dialect: only('"5.x" or "4.9"', (value) => value === "5.x" || value === "4.9"),
  transport: only("a transport", isRecord),
};
