/**
 * Measures how the cost of our consumer grows, against a real broker: with queues, topics, sizes of bodies, loops and
 * slow handlers.
 *
 * ```sh
 * deno task bench:growth                        # everything, three rounds, some minutes; writes bench/results
 * deno task bench:growth --only queues,turns    # some of it
 * deno task bench:growth --rounds 1
 * ```
 *
 * Needs Java and Maven for the broker.
 *
 * @module
 */

import { dirname, fromFileUrl, join } from "@std/path";
import { parseArgs } from "node:util";
import { BenchBroker } from "./harness/broker.ts";
import { type Column, measureCases, SERIES, type Series, seriesTable } from "./harness/growth_series.ts";
import { settingOf, settingText } from "./harness/report.ts";
import { denoPeer } from "./peers/peers.ts";

const RESULTS = join(dirname(fromFileUrl(import.meta.url)), "results");

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { only: { type: "string" }, rounds: { type: "string", default: "3" } },
  });
  const names = values.only?.split(",") ?? SERIES.map(({ id }) => id);
  const series = SERIES.filter(({ id }) => names.includes(id));
  const rounds = Number(values.rounds);
  if (series.length < names.length || !(rounds >= 1)) {
    throw new TypeError(
      `Cannot measure "${names}" ${rounds} times: known are ${SERIES.map(({ id }) => id).join(", ")}`,
    );
  }
  const setting = settingOf({ Deno: Deno.version.deno }, rounds, 1);
  const measured = await measure(series, rounds);
  for (const [{ title, columns }, rows] of measured) console.log(`\n${title}\n${seriesTable(columns, rows)}`);
  console.log(`\n${settingText(setting)}`);
  if (series.length < SERIES.length) return;
  const data = { setting, series: measured.map(([{ id, title, columns }, rows]) => ({ id, title, columns, rows })) };
  await Deno.mkdir(RESULTS, { recursive: true });
  await Deno.writeTextFile(join(RESULTS, "growth.json"), `${JSON.stringify(data, rounded, 2)}\n`);
  console.log("\nwritten: bench/results/growth.json");
}

async function measure(series: readonly Series[], rounds: number) {
  const measured: [Series, Record<Column, string | number>[]][] = [];
  // Thousands of queues: small files for each.
  const broker = await BenchBroker.start({ mappedFileSizeConsumeQueue: String(20 * 32_768) });
  try {
    for (const each of series) {
      console.log(`\n${each.id}`);
      measured.push([each, await measureCases(broker, denoPeer("ours"), each, rounds, console.log)]);
    }
  } finally {
    await broker.stop();
  }
  return measured;
}

/** Four digits behind the point are more than enough. */
function rounded(_name: string, value: unknown): unknown {
  return typeof value === "number" ? Number(value.toFixed(4)) : value;
}
