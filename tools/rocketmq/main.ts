/**
 * Starts a real RocketMQ to work with by hand, until Ctrl-C:
 *
 * ```sh
 * deno run -A tools/rocketmq/main.ts 5.5.0 --brokers 2 --name-servers 2
 * deno run -A tools/rocketmq/main.ts fetch    # only fills the cache, with all versions
 * ```
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { startRocketMQ } from "./cluster.ts";
import { fetchRocketMQ, ROCKETMQ_VERSIONS } from "./fetch.ts";

const USAGE = `Usage: main.ts (${
  ROCKETMQ_VERSIONS.join(" | ")
}) [--brokers <count>] [--name-servers <count>]\n       main.ts fetch`;

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { brokers: { type: "string", default: "1" }, "name-servers": { type: "string", default: "1" } },
  });
  const [what] = positionals;
  if (what === "fetch") {
    for (const version of ROCKETMQ_VERSIONS) console.log(`${version} is in ${await fetchRocketMQ(version)}`);
    return;
  }

  const version = ROCKETMQ_VERSIONS.find((known) => known === what);
  const [brokers = 0, nameServers = 0] = [values.brokers, values["name-servers"]].map(Number);
  if (version === undefined || ![brokers, nameServers].every((count) => Number.isInteger(count) && count >= 1)) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  const begun = Date.now();
  const rocketmq = await startRocketMQ({ version, brokers, nameServers });
  console.log(`RocketMQ ${version} is ready after ${Date.now() - begun} ms, Ctrl-C ends it`);
  console.log(`name server  ${rocketmq.nameServer}`); // of several, all: as clients take them
  for (const broker of rocketmq.brokers) console.log(`${broker.name}     ${broker.address}  process ${broker.pid}`);
  console.log(`files        ${rocketmq.folder}`);
  // Nothing more to do: the servers keep this process alive, and exit_guard.ts takes them along when it ends.
}

await main();
