/**
 * What was measured, as data, as a table for a terminal, and as one for a page.
 *
 * @module
 */

import type { Peer, PeerId, Versions } from "../peers/peers.ts";
import { BROKER_VERSION } from "./broker.ts";
import type { Job, Row } from "./jobs.ts";
import { format, type Samples } from "./runner.ts";
import { type Spread, spreadOf } from "./sample.ts";
import { cpus, totalmem } from "node:os";

/** Where and what was measured. */
export interface Setting {
  readonly date: string;
  readonly machine: string;
  readonly versions: Versions;
  readonly rounds: number;
  /** The share of messages: 1 at full length. */
  readonly scale: number;
}

/** One row with the figures of its peers. */
export interface ReportRow extends Pick<Row, "id" | "title" | "unit" | "more"> {
  readonly figures: Readonly<Partial<Record<PeerId, Spread & { readonly rounds: readonly number[] }>>>;
}

/** Everything that a run of the benchmark came to. */
export interface Report {
  readonly setting: Setting;
  /** The names of the peers that took part. */
  readonly peers: Readonly<Partial<Record<PeerId, string>>>;
  readonly rows: readonly ReportRow[];
  /** Processor seconds and peak memory of whole processes, medians, by job and peer. */
  readonly processes: Readonly<
    Record<string, Partial<Record<PeerId, { readonly cpuSeconds: number; readonly peakBytes: number }>>>
  >;
  /** Measurements that were not counted, and why. */
  readonly problems: readonly string[];
}

/** Describes this machine. */
export function settingOf(versions: Versions, rounds: number, scale: number): Setting {
  const { model } = cpus()[0] ?? { model: "unknown processor" };
  const memory = Math.round(totalmem() / 2 ** 30);
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} × ${model}, ${memory} GiB, ${Deno.build.os}`,
    versions: { broker: BROKER_VERSION, ...versions },
    rounds,
    scale,
  };
}

/** Puts a report together. */
export function reportOf(
  setting: Setting,
  peers: readonly Peer[],
  measured: readonly (readonly [Job, Samples])[],
): Report {
  return {
    setting,
    peers: Object.fromEntries(peers.map(({ id, label }) => [id, label])),
    rows: measured.flatMap(([job, samples]) => job.rows.map((row) => rowOf(row, samples))),
    processes: Object.fromEntries(measured.map(([job, samples]) => [job.id, processesOf(samples)])),
    problems: measured.flatMap(([job, samples]) =>
      [...samples].flatMap(([peer, list]) =>
        list.flatMap(({ problem }) => problem === undefined ? [] : [`${job.id}, ${peer}: ${problem.split("\n")[0]}`])
      )
    ),
  };
}

function rowOf({ id, title, unit, more, of, without = [] }: Row, samples: Samples): ReportRow {
  const figures = [...samples].flatMap(([peer, list]) => {
    const counted = list.filter(({ problem, outcome }) => problem === undefined && outcome.unsupported === undefined);
    const rounds = counted.map(of).filter((figure) => !Number.isNaN(figure)).map((figure) => Number(figure.toFixed(4)));
    const spread = spreadOf(rounds);
    return spread === undefined || without.includes(peer) ? [] : [[peer, { ...spread, rounds }]];
  });
  return { id, title, unit, more, figures: Object.fromEntries(figures) };
}

function processesOf(samples: Samples): Report["processes"][string] {
  return Object.fromEntries([...samples].flatMap(([peer, list]) => {
    const cpuSeconds = spreadOf(list.map(({ usage }) => usage.cpu))?.median ?? 0;
    const peakBytes = spreadOf(list.map(({ usage }) => usage.peak))?.median ?? 0;
    return peakBytes === 0 ? [] : [[peer, { cpuSeconds, peakBytes }]];
  }));
}

/** One row with all its peers: medians, the least and the most, and how many times ours it is. */
export function rowText({ title, unit, figures }: ReportRow, peers: Report["peers"]): string {
  const ours = figures.ours?.median;
  const lines = (Object.entries(figures) as [PeerId, Spread][]).map(([id, { median, least, most }]) => {
    const ratio = ours === undefined || id === "ours" ? "" : `  ours is ${format(ours / median)} ×`;
    const name = (peers[id] ?? id).padEnd(22);
    return `  ${name} ${format(median).padStart(10)}   ${`${format(least)} … ${format(most)}`.padEnd(24)}${ratio}`;
  });
  return `\n${title} (${unit})\n${lines.join("\n")}`;
}

/** What whole processes have spent, by job. */
export function processesText({ processes, peers }: Report): string {
  const jobs = Object.entries(processes).map(([job, spent]) => {
    const lines = Object.entries(spent).map(([id, usage]) =>
      `  ${peers[id as PeerId]!.padEnd(22)} ${spentText(usage)}`
    );
    return `\n${job}: processor time and peak memory of the whole process\n${lines.join("\n")}`;
  });
  return jobs.join("\n");
}

function spentText({ cpuSeconds, peakBytes }: { cpuSeconds: number; peakBytes: number }): string {
  return `${format(cpuSeconds)} s, ${format(peakBytes / 1_000_000)} MB`;
}

/** One line that says what was measured on what. */
export function settingText({ date, machine, versions, rounds, scale }: Setting): string {
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ");
  const extent = scale === 1 ? "" : `, ${format(scale)} × the usual number of messages`;
  return `${date}, ${machine}; ${names}; medians of ${rounds} ${rounds === 1 ? "round" : "rounds"}${extent}`;
}

/** The tables of a report for a page: a row for each figure or job, a column for each peer. */
export function markdown(report: Report): string {
  const ids = Object.keys(report.peers) as PeerId[];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  const head = line(["", ...ids.map((id) => report.peers[id] ?? id)]) + line(["---", ...ids.map(() => "---:")]);
  const rows = report.rows.map(({ title, unit, figures }) =>
    line([`${title}, ${unit}`, ...ids.map((id) => figures[id] === undefined ? "–" : format(figures[id].median))])
  );
  const jobs = Object.entries(report.processes).map(([job, spent]) =>
    line([job, ...ids.map((id) => spent[id] === undefined ? "–" : spentText(spent[id]))])
  );
  const problems = report.problems.map((problem) => `- Not counted: ${problem}\n`);
  return `# What was measured

${settingText(report.setting)}. docs/operations.md has the settings.

${head}${rows.join("")}
Processor time and peak memory of whole processes, from their start on:

${head}${jobs.join("")}
${problems.join("")}`;
}
