/**
 * The behaviour that users are promised, on the embedded broker and on real ones: the same scenarios on each.
 *
 * One test per broker, which starts it, runs the scenarios as steps, several at a time, and stops it: what is left
 * behind then fails that test. A second one per broker runs those that need a cluster. `deno task test` runs those on
 * embedded brokers and on one real one, `deno task test:long` the others. One broker is chosen by the test's name,
 * scenarios by a part of theirs:
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

import { javaToolsMissing, ROCKETMQ_VERSIONS } from "../../tools/rocketmq/fetch.ts";
import { startEmbedded } from "../behaviour/embedded_broker.ts";
import { startEmbeddedCluster } from "../behaviour/embedded_cluster.ts";
import type { Scenario, TestServers } from "../behaviour/harness.ts";
import { startReal } from "../behaviour/real_broker.ts";
import { startRealCluster } from "../behaviour/real_cluster.ts";
import { allScenarios, clusterScenarios } from "../behaviour/scenarios/all.ts";
import { runScenarios, type StartedBroker } from "../behaviour/suite.ts";
import { isLong, isShort } from "../long.ts";

/** Part of the names of the scenarios to run. */
const wanted = Deno.env.get("BEHAVIOUR") ?? "";
/** How many scenarios run at a time on one broker. */
const atATime = Number(Deno.env.get("BEHAVIOUR_AT_A_TIME") ?? 8);

/** The version that the short part of the tests starts. */
const MOST_USED = "5.3.3";

const scenarios = allScenarios.filter(({ name }) => name.includes(wanted));
const ofClusters = clusterScenarios.filter(({ name }) => name.includes(wanted));
if (scenarios.length + ofClusters.length === 0) throw new Error(`Cannot find a scenario with "${wanted}" in its name`);

if (!isLong) {
  test("behaviour on embedded", scenarios, startEmbedded);
  test("behaviour of clusters on embedded", ofClusters, startEmbeddedCluster);
}
for (const version of ROCKETMQ_VERSIONS) {
  const [one, several] = [() => startReal(version), () => startRealCluster(version)];
  if (version === MOST_USED ? !isLong : !isShort) testReal(`behaviour on ${version}`, scenarios, one);
  if (!isShort) testReal(`behaviour of clusters on ${version}`, ofClusters, several);
}

function test<S extends TestServers>(
  name: string,
  scenarios: readonly Scenario<S>[],
  start: () => Promise<StartedBroker<S>>,
): void {
  if (scenarios.length === 0) return;
  Deno.test(name, async (t) => {
    const started = performance.now();
    const { broker, stop } = await start();
    const ready = performance.now();
    try {
      const sanitize = atATime === 1; // steps that run at the same time cannot be told apart
      const options = { sanitizeOps: sanitize, sanitizeResources: sanitize, sanitizeExit: sanitize };
      await runScenarios(broker, scenarios, (name, fn) => t.step({ name, fn, ...options }), atATime);
    } finally {
      await stop();
    }
    const seconds = (from: number, to: number) => `${((to - from) / 1_000).toFixed(1)} s`;
    const end = performance.now();
    console.log(`${name}: ${seconds(started, ready)} to start, ${seconds(ready, end)} of scenarios`);
  });
}

/** Real servers need Java; on a build server its absence is a failure. */
function testReal<S extends TestServers>(
  name: string,
  scenarios: readonly Scenario<S>[],
  start: () => Promise<StartedBroker<S>>,
): void {
  const missing = cannotStart();
  if (missing === undefined) {
    test(name, scenarios, start);
    return;
  }
  console.log(`${name}: not run: ${missing}`);
  const fn = () => {
    throw new Error(`Cannot run the scenarios of "${name}": ${missing}`);
  };
  Deno.test({ name, ignore: Deno.env.get("CI") === undefined, fn });
}

function cannotStart(): string | undefined {
  const granted = Deno.permissions.querySync({ name: "run", command: "java" }).state === "granted";
  return granted ? javaToolsMissing() : "this run may not start java: give it --allow-all";
}
