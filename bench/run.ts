/**
 * Measures our client beside others against one real broker, in turn, A B C A B C, and tells what came of it.
 *
 * ```sh
 * deno task bench                                   # everything, three rounds, 15 minutes; writes bench/results
 * deno task bench --quick                           # one round of few messages, to see that all of it works
 * deno task bench --rows backlog,send --rounds 5    # some jobs
 * deno task bench --peers ours,java-tuned,go        # some clients
 * deno task bench --messages 2000000                # of the 256-byte backlog; the other jobs grow alike
 * ```
 *
 * Needs Java and Maven for the broker; Go, Node with npm, and Bun for their clients: without them those are left out.
 * `--save NAME` writes `bench/results/NAME.json`, `.md` and `.svg` whatever was chosen.
 *
 * @module
 */

import { dirname, fromFileUrl, join } from "@std/path";
import process from "node:process";
import { parseArgs } from "node:util";
import { BenchBroker } from "./harness/broker.ts";
import { BACKLOG, type Job, JOBS } from "./harness/jobs.ts";
import { markdown, processesText, type Report, reportOf, rowText, settingOf, settingText } from "./harness/report.ts";
import { Runner, type Samples } from "./harness/runner.ts";
import { svg } from "./harness/svg.ts";
import { buildPeers, denoPeer, PEER_IDS, type PeerId } from "./peers/peers.ts";

const RESULTS = join(dirname(fromFileUrl(import.meta.url)), "results");
const QUICK_SCALE = 0.05;

/** What is to be measured, and how much. */
interface Choice {
  readonly jobs: readonly Job[];
  readonly peers: readonly PeerId[];
  readonly rounds: number;
  readonly scale: number;
  /** The name of the files that are written. */
  readonly save: string | undefined;
}

if (import.meta.main) await main();

async function main(): Promise<void> {
  const choice = choiceOf(Deno.args);
  const report = await measure(choice);
  for (const row of report.rows) console.log(rowText(row, report.peers));
  console.log(processesText(report));
  console.log(`\n${settingText(report.setting)}`);
  for (const problem of report.problems) console.log(`NOT COUNTED: ${problem}`);
  if (choice.save !== undefined) await write(choice.save, report);
  process.exitCode = report.problems.length === 0 ? 0 : 1;
}

function choiceOf(args: string[]): Choice {
  const { values } = parseArgs({
    args,
    options: {
      rows: { type: "string" },
      peers: { type: "string" },
      rounds: { type: "string" },
      messages: { type: "string" },
      quick: { type: "boolean", default: false },
      save: { type: "string" },
    },
  });
  const named = <T extends string>(given: string | undefined, known: readonly T[]): readonly T[] => {
    const names = given?.split(",") ?? known;
    const unknown = names.filter((name) => !known.includes(name as T));
    if (unknown.length === 0) return known.filter((name) => names.includes(name));
    throw new TypeError(`Cannot measure "${unknown.join(", ")}": known are ${known.join(", ")}`);
  };
  const rows = named(values.rows, JOBS.map(({ id }) => id));
  const peers = named(values.peers, PEER_IDS);
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  const scale = values.messages === undefined ? values.quick ? QUICK_SCALE : 1 : Number(values.messages) / BACKLOG;
  if (!(rounds >= 1) || !(scale > 0)) throw new TypeError("Cannot measure: rounds and messages have to be above 0");
  const isWhole = rows.length === JOBS.length && peers.length === PEER_IDS.length && rounds >= 3 && scale >= 1;
  const save = values.save ?? (isWhole ? "bench" : undefined);
  return { jobs: JOBS.filter(({ id }) => rows.includes(id)), peers, rounds, scale, save };
}

async function measure({ jobs, peers: ids, rounds, scale }: Choice): Promise<Report> {
  console.log("building the clients");
  const { peers, versions } = await buildPeers(ids);
  console.log("starting the broker");
  const broker = await BenchBroker.start();
  try {
    const runner = new Runner(broker, { rounds, scale }, console.log);
    await runner.warmUp(denoPeer("ceiling"), jobs);
    const measured: [Job, Samples][] = [];
    for (const job of jobs) {
      const since = performance.now();
      console.log(`\n${job.id}`);
      measured.push([job, await runner.run(job, peers.filter(({ id }) => job.peers.includes(id)))]);
      console.log(`  ${Math.round((performance.now() - since) / 1_000)} s`);
    }
    return reportOf(settingOf(versions, rounds, scale), peers, measured);
  } finally {
    await broker.stop();
  }
}

async function write(name: string, report: Report): Promise<void> {
  const file = (ending: string) => join(RESULTS, `${name}.${ending}`);
  await Deno.mkdir(RESULTS, { recursive: true });
  await Deno.writeTextFile(file("json"), `${JSON.stringify(report, null, 2)}\n`);
  await Deno.writeTextFile(file("md"), markdown(report));
  await Deno.writeTextFile(file("svg"), svg(report));
  const args = ["fmt", "--quiet", file("json"), file("md")];
  await new Deno.Command(Deno.execPath(), { args, stdin: "null" }).output();
  console.log(`\nwritten: bench/results/${name}.json, .md, .svg`);
}
