/**
 * All scenarios, those that take long first: what runs beside them is short.
 *
 * @module
 */

import type { Scenario, TestCluster } from "../harness.ts";
import { scenarios as ack } from "./ack.ts";
import { scenarios as close } from "./close.ts";
import { scenarios as cluster } from "./cluster.ts";
import { scenarios as clusterPop } from "./cluster_pop.ts";
import { scenarios as clusterStart } from "./cluster_start.ts";
import { scenarios as commands } from "./commands.ts";
import { scenarios as connect } from "./connect.ts";
import { scenarios as crash } from "./crash.ts";
import { scenarios as faults } from "./faults.ts";
import { scenarios as flow } from "./flow.ts";
import { scenarios as group } from "./group.ts";
import { scenarios as hostile } from "./hostile.ts";
import { scenarios as hostileAnswers } from "./hostile_answers.ts";
import { scenarios as broadcasting } from "./broadcasting.ts";
import { scenarios as byKey } from "./by_key.ts";
import { scenarios as load } from "./load.ts";
import { scenarios as loop } from "./loop.ts";
import { scenarios as orderly } from "./orderly.ts";
import { scenarios as packed } from "./packed.ts";
import { scenarios as pop } from "./pop.ts";
import { scenarios as producer } from "./producer.ts";
import { scenarios as reader } from "./reader.ts";
import { scenarios as retry } from "./retry.ts";
import { scenarios as run } from "./run.ts";
import { scenarios as sendBack } from "./send_back.ts";
import { scenarios as start } from "./start.ts";
import { scenarios as storms } from "./storms.ts";
import { scenarios as subscriptions } from "./subscriptions.ts";
import { scenarios as trace } from "./trace.ts";

/** Every scenario. Those that run alone keep this order: the broker is killed at the very end. */
export const allScenarios: readonly Scenario[] = [
  ...orderly,
  ...pop,
  ...group,
  ...byKey,
  ...broadcasting,
  ...commands,
  ...reader,
  ...sendBack,
  ...retry,
  ...faults,
  ...run,
  ...start,
  ...storms,
  ...subscriptions,
  ...trace,
  ...flow,
  ...close,
  ...ack,
  ...loop,
  ...packed,
  ...hostile,
  ...hostileAnswers,
  ...producer,
  ...connect,
  ...load,
  ...crash,
];

/** Those that need two brokers and two name servers: all run alone. */
export const clusterScenarios: readonly Scenario<TestCluster>[] = [...cluster, ...clusterStart, ...clusterPop];
