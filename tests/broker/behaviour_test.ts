/**
 * The behaviour that users are promised, on the embedded broker and on real ones: the same scenarios on each.
 *
 * One test per broker, which starts it, runs the scenarios as steps, several at a time, and stops it: what is left
 * behind then fails that test. One broker is chosen by the test's name, scenarios by a part of theirs:
 *
 * ```sh
 * deno task test --only tests tests/broker/behaviour_test.ts
 * deno test -A --filter "on embedded" tests/broker/behaviour_test.ts
 * BEHAVIOUR="late ack" deno test -A --filter 5.3.3 tests/broker/behaviour_test.ts
 * BEHAVIOUR_AT_A_TIME=1 deno test -A --filter 4.9.7 --trace-leaks tests/broker/behaviour_test.ts
 * ```
 *
 * One at a time, each scenario is looked at for leaks by itself.
 */

import { javaToolsMissing, ROCKETMQ_VERSIONS, type RocketMQVersion } from "../../tools/rocketmq/fetch.ts";
import { startEmbedded } from "../behaviour/embedded_broker.ts";
import type { BrokerName } from "../behaviour/harness.ts";
import { startReal } from "../behaviour/real_broker.ts";
import { allScenarios } from "../behaviour/scenarios/all.ts";
import { runScenarios, type StartedBroker } from "../behaviour/suite.ts";

/** Part of the names of the scenarios to run. */
const wanted = Deno.env.get("BEHAVIOUR") ?? "";
/** How many scenarios run at a time on one broker. */
const atATime = Number(Deno.env.get("BEHAVIOUR_AT_A_TIME") ?? 8);

test("embedded", startEmbedded);
for (const version of ROCKETMQ_VERSIONS) testReal(version);

function test(name: BrokerName, start: () => Promise<StartedBroker>): void {
  Deno.test(`behaviour on ${name}`, async (t) => {
    const started = performance.now();
    const { broker, stop } = await start();
    const ready = performance.now();
    try {
      const scenarios = allScenarios.filter(({ name }) => name.includes(wanted));
      if (scenarios.length === 0) throw new Error(`Cannot find a scenario with "${wanted}" in its name`);
      const sanitize = atATime === 1; // steps that run at the same time cannot be told apart
      const options = { sanitizeOps: sanitize, sanitizeResources: sanitize, sanitizeExit: sanitize };
      await runScenarios(broker, scenarios, (name, fn) => t.step({ name, fn, ...options }), atATime);
    } finally {
      await stop();
    }
    const seconds = (from: number, to: number) => `${((to - from) / 1_000).toFixed(1)} s`;
    const end = performance.now();
    console.log(`behaviour on ${name}: ${seconds(started, ready)} to start, ${seconds(ready, end)} of scenarios`);
  });
}

/** A real broker needs Java; on a build server its absence is a failure. */
function testReal(version: RocketMQVersion): void {
  const missing = cannotStart();
  if (missing === undefined) {
    test(version, () => startReal(version));
    return;
  }
  console.log(`behaviour on ${version}: not run: ${missing}`);
  const fn = () => {
    throw new Error(`Cannot run the scenarios on RocketMQ ${version}: ${missing}`);
  };
  Deno.test({ name: `behaviour on ${version}`, ignore: Deno.env.get("CI") === undefined, fn });
}

function cannotStart(): string | undefined {
  const granted = Deno.permissions.querySync({ name: "run", command: "java" }).state === "granted";
  return granted ? javaToolsMissing() : "this run may not start java: give it --allow-all";
}
