/**
 * What all examples share: where the cluster is, and a plain line where there is none. Not a program.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { RocketMQError } from "@denorocket/rocketmq";

const { values, positionals } = parseArgs({
  args: Deno.args,
  options: { "name-server": { type: "string" } },
  allowPositionals: true,
});

/** `--name-server HOST:PORT`; without it `connect()` takes `NAMESRV_ADDR`, else 127.0.0.1:9876. */
export const nameServer: string | undefined = values["name-server"];

/** The arguments without a name. */
export const others: readonly string[] = positionals;

/** Ends the program: prints what the client says, without a stack. */
export function exitPlainly(error: unknown): never {
  if (!(error instanceof RocketMQError)) throw error;
  console.error(error.message);
  console.error("`deno task broker` starts a broker; `--name-server HOST:PORT` connects to another one");
  Deno.exit(1);
}
