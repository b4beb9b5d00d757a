/**
 * Runs the scenarios on the embedded broker and the embedded cluster where there is no Deno: a program for other runtimes.
 *
 * It prints one line of JSON for each scenario, a {@linkcode ScenarioLine}, and a last one that says so. `BEHAVIOUR` and
 * `BEHAVIOUR_AT_A_TIME` choose as they do for the test on Deno.
 *
 * @module
 */

import process from "node:process";
import { inspect } from "node:util";
import { startEmbedded } from "../behaviour/embedded_broker.ts";
import { startEmbeddedCluster } from "../behaviour/embedded_cluster.ts";
import { allScenarios, clusterScenarios } from "../behaviour/scenarios/all.ts";
import { runScenarios } from "../behaviour/suite.ts";

/** What is printed of a scenario. */
export interface ScenarioLine {
  /** Its name, with that of the broker before it. */
  readonly scenario: string;
  /** Why it failed, if it did. */
  readonly failure?: string;
  /** Why it was not run, if it was not. */
  readonly leftOut?: string;
}

/** What is printed last, when everything is closed: the program then ends by itself. */
export interface LastLine {
  readonly ended: true;
}

/** What does not run here unless it is asked for, and why. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  "orderly: a member that died keeps its queues locked for at most 60 s; then another goes on, in order":
    "it waits for 60 s, and time is the broker's matter",
};

const wanted = process.env["BEHAVIOUR"] ?? "";
const atATime = Number(process.env["BEHAVIOUR_AT_A_TIME"] ?? 8);

for (const name of Object.keys(LEFT_OUT)) {
  if (!allScenarios.some((scenario) => scenario.name === name)) throw new Error(`Cannot leave out "${name}": unknown`);
}
const chosen = allScenarios.filter(({ name }) => name.includes(wanted));
const leftOut = wanted === "" ? chosen.filter(({ name }) => name in LEFT_OUT) : [];

const { broker, stop } = await startEmbedded();
for (const { name } of leftOut) print({ scenario: `${broker.name}: ${name}`, leftOut: LEFT_OUT[name]! });
await runScenarios(broker, chosen.filter((scenario) => !leftOut.includes(scenario)), reported, atATime);
await stop();
const cluster = await startEmbeddedCluster();
await runScenarios(cluster.broker, clusterScenarios.filter(({ name }) => name.includes(wanted)), reported, atATime);
await cluster.stop();
print({ ended: true });

async function reported(scenario: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
    print({ scenario });
  } catch (error) {
    print({ scenario, failure: inspect(error) });
  }
}

function print(line: ScenarioLine | LastLine): void {
  console.log(JSON.stringify(line));
}
