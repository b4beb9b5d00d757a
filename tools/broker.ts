/**
 * An embedded broker as a program, for the first steps with a client: name server and broker on one port, in memory.
 *
 *     deno task broker                 # port 9876, or the next free one
 *     deno task broker --port 10911    # this port
 *
 * Ctrl-C stops it.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { NetworkError, RocketMQError } from "@denorocket/rocketmq";
import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";

/** The port of a name server, at which clients look without an address. */
const DEFAULT_PORT = 9_876;
/** How many ports are tried. */
const PORTS = 100;

async function main(): Promise<void> {
  const { values } = parseArgs({ args: Deno.args, options: { port: { type: "string" } } });
  const port = values.port === undefined ? undefined : Number(values.port);
  await using broker = port === undefined ? await startFrom(DEFAULT_PORT) : await EmbeddedBroker.start({ port });
  console.log(introduction(broker.address, port ?? DEFAULT_PORT).join("\n"));
  await interrupted();
  console.log("The broker is stopped; its messages are deleted.");
}

/** Starts a broker on a port, or on the next one that is free. */
export async function startFrom(first: number): Promise<EmbeddedBroker> {
  for (let port = first;; port++) {
    try {
      return await EmbeddedBroker.start({ port });
    } catch (error) {
      const isTaken = error instanceof NetworkError && error.cause instanceof Deno.errors.AddrInUse;
      if (!isTaken || port === first + PORTS) throw error;
    }
  }
}

/** What a user needs to know: the address, and what to do next. */
export function introduction(address: string, wanted: number): string[] {
  const isOther = wanted !== 0 && !address.endsWith(`:${wanted}`);
  return [
    `RocketMQ broker and name server in memory: ${address}${isOther ? ` (port ${wanted} is in use)` : ""}`,
    `Connect:  await connect("${address}")`,
    "Topics:   created by the first message that is sent to them",
    `Produce:  deno run --allow-net examples/produce.ts --name-server ${address}`,
    `Consume:  deno run --allow-net examples/consume.ts --name-server ${address}`,
    "Stop:     Ctrl-C",
  ];
}

/** Resolves when the program is to end. */
function interrupted(): Promise<void> {
  const signals: readonly Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  return new Promise((resolve) => {
    const end = () => {
      for (const signal of signals) Deno.removeSignalListener(signal, end);
      resolve();
    };
    for (const signal of signals) Deno.addSignalListener(signal, end);
  });
}

if (import.meta.main) {
  await main().catch((error) => {
    if (!(error instanceof RocketMQError)) throw error;
    console.error(error.message);
    Deno.exitCode = 1;
  });
}
