/**
 * The series of `growth.ts`: what grows, and what is told of each step.
 *
 * @module
 */

import type { Peer } from "../peers/peers.ts";
import { defaultWork, topicsOf, type Work } from "../peers/work.ts";
import type { BenchBroker } from "./broker.ts";
import { start } from "./process.ts";
import { format } from "./runner.ts";
import { spreadOf } from "./sample.ts";

/** What is told of a case. */
export type Column =
  | "case"
  | "msg/s"
  | "MB/s"
  | "µs a message"
  | "first, ms"
  | "peak, MB"
  | "idle, MB"
  | "held, MB"
  | "kB held a queue"
  | "latest turn, ms";

/** One step of a series. */
export interface Case {
  readonly label: string;
  readonly work: Partial<Work>;
}

/** Cases in which one thing grows. */
export interface Series {
  readonly id: string;
  readonly title: string;
  readonly columns: readonly Column[];
  readonly cases: readonly Case[];
}

/** The messages of backlogs. */
const [SMALL, MIDDLE, LARGE, HUGE] = [8_192, 65_536, 262_144, 1_048_576];

const consumed: readonly Column[] = ["case", "msg/s", "µs a message", "first, ms", "peak, MB"];

/** All series. */
export const SERIES: readonly Series[] = [
  {
    id: "queues",
    title:
      "queues of one topic, 1 048 576 messages of 256 B; idle: with as many queues and nothing in them, the whole " +
      "process, and what it holds after a garbage collection",
    columns: [...consumed, "idle, MB", "held, MB", "kB held a queue"],
    cases: [8, 64, 512, 4_096].map((queues) => ({ label: `${queues} queues`, work: { queues, count: HUGE } })),
  },
  {
    id: "topics",
    title: "topics, always 1 000 queues, 1 024 000 messages of 256 B",
    columns: [...consumed, "idle, MB", "held, MB"],
    cases: [1, 10, 1_000].map((topics) => ({
      label: `${topics} × ${1_000 / topics} queues`,
      work: { topics, queues: 1_000 / topics, count: 1_024_000 },
    })),
  },
  {
    id: "bodies",
    title: "sizes of bodies, 8 queues",
    columns: [...consumed, "MB/s"],
    cases: ([[64, LARGE], [256, LARGE], [1_024, LARGE], [4_096, MIDDLE], [65_536, 4_096], [1_048_576, 256]] as const)
      .map(([bytes, count]) => ({
        label: bytes < 1_024 ? `${bytes} B` : `${bytes / 1_024} KiB`,
        work: { bytes, count },
      })),
  },
  {
    id: "loops",
    title: "loops over one consumer, by the time that a loop takes for a batch",
    columns: ["case", "msg/s", "µs a message"],
    cases: [0, 1, 20].flatMap((handler) =>
      [1, 8, 64].map((loops) => ({
        label: `${loops} ${loops === 1 ? "loop" : "loops"}, ${handler} ms`,
        work: { loops, handler, count: handler === 0 ? LARGE : loops * 32_000 / handler > 40_000 ? MIDDLE : SMALL },
      }))
    ),
  },
  {
    id: "ordering",
    title: "what is kept in order, 8 queues, 8 loops",
    columns: ["case", "msg/s", "µs a message"],
    cases: [["concurrent", "nothing"], ["byKey", "each message has a key of its own"], ["orderly", "whole queues"]]
      .map(([ordering = "", label = ""]) => ({ label, work: { ordering, loops: 8, count: LARGE } })),
  },
  {
    id: "each",
    title: "runEach, by the time that a handler takes for a message",
    columns: ["case", "msg/s", "µs a message", "latest turn, ms"],
    cases: ([[0, LARGE], [1, MIDDLE], [20, SMALL]] as const).map(([handler, count]) => ({
      label: `20 at a time, ${handler} ms`,
      work: { each: true, loops: 20, handler, count },
    })),
  },
  {
    id: "turns",
    title: "handlers that hold the thread for 1 ms: how late the latest turn of the event loop is",
    columns: ["case", "msg/s", "latest turn, ms"],
    cases: [
      { label: "runEach, 20 at a time, 1 ms a message", work: { each: true, loops: 20, handler: 1, count: 4_096 } },
      { label: "for await, 1 ms a batch", work: { handler: 1, count: MIDDLE } },
      { label: "8 loops, 1 ms a batch", work: { loops: 8, handler: 1, count: MIDDLE } },
    ].map(({ label, work }) => ({ label, work: { ...work, blocking: true } })),
  },
];

/** Measures the cases of a series in turn, round after round; returns medians by column. */
export async function measureCases(
  broker: BenchBroker,
  peer: Peer,
  { cases, columns }: Series,
  rounds: number,
  say: (line: string) => void,
): Promise<Record<Column, string | number>[]> {
  const figures = cases.map((): Record<string, number[]> => ({}));
  for (let round = 1; round <= rounds; round++) {
    for (const [i, { label, work: given }] of cases.entries()) {
      const work = await prepare(broker, given);
      const measured = await measureCase(broker, peer, work, columns.includes("idle, MB"));
      const told: string[] = [];
      for (const [column, figure] of Object.entries(measured)) {
        if (!columns.includes(column as Column)) continue;
        (figures[i]![column] ??= []).push(figure);
        told.push(`${column} ${format(figure)}`);
      }
      say(`  round ${round}  ${label.padEnd(38)} ${told.join(", ")}`);
    }
  }
  const rows = cases.map(({ label }, i) => {
    const medians = Object.entries(figures[i]!).map(([column, all]) => [column, spreadOf(all)?.median ?? NaN]);
    return { case: label, ...Object.fromEntries(medians) };
  });
  const queuesOf = (at: number) => cases[at]!.work.queues ?? defaultWork.queues;
  rows.forEach((row, i) => {
    row["kB held a queue"] = (row["held, MB"] - rows[0]!["held, MB"]) * 1_000 / (queuesOf(i) - queuesOf(0));
  });
  return rows;
}

/** What one measurement tells; memory for each queue more than in the first case comes last, from medians. */
type Figure = Exclude<Column, "case" | "kB held a queue">;

/** Makes the backlog of a case, once: its name tells what is in it. */
async function prepare(broker: BenchBroker, given: Partial<Work>): Promise<Work> {
  const work: Work = { ...defaultWork, ...given, nameServer: broker.nameServer, broker: broker.address };
  const { topics, queues, count, bytes } = work;
  const named = { ...work, topic: `growth-${topics}-${queues}-${count}-${bytes}` };
  const names = topicsOf(named);
  const perQueue = Math.floor(count / names.length / queues);
  let next = 0;
  const worker = async () => {
    while (next < names.length) {
      const at = next++;
      const topic = names[at]!;
      if (await broker.has(topic)) continue;
      await broker.fill({ topic, queues, perQueue, bytes, from: at * queues * perQueue });
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return { ...named, count: perQueue * queues * names.length };
}

async function measureCase(
  broker: BenchBroker,
  peer: Peer,
  work: Work,
  withIdle: boolean,
): Promise<Record<Figure, number>> {
  const running = await start(peer, { ...work, group: crypto.randomUUID() });
  try {
    const { count, distinct, seconds, cpu, first = NaN, lateness = NaN } = running.outcome;
    if (distinct !== work.count) throw new Error(`Cannot count: ${distinct} different messages of ${work.count}`);
    const { peak } = await running.usage();
    return {
      "msg/s": count / seconds,
      "MB/s": count * work.bytes / seconds / 1_000_000,
      "µs a message": cpu / count * 1_000_000,
      "first, ms": first,
      "peak, MB": peak / 1_000_000,
      "latest turn, ms": lateness,
      ...(withIdle ? await idleMemory(broker, peer, work) : { "idle, MB": NaN, "held, MB": NaN }),
    };
  } finally {
    await running.end();
  }
}

/** The memory of a client that has all these queues, and nothing in them. */
async function idleMemory(
  broker: BenchBroker,
  peer: Peer,
  work: Work,
): Promise<Record<"idle, MB" | "held, MB", number>> {
  const idle: Work = { ...work, kind: "idle", topic: `${work.topic}-idle`, group: crypto.randomUUID() };
  const names = topicsOf(idle);
  for (let at = 0; at < names.length; at += 8) {
    await Promise.all(
      names.slice(at, at + 8).map(async (topic) => {
        if (!await broker.has(topic)) await broker.createTopic(topic, idle.queues);
      }),
    );
  }
  const [program = "", command = "", ...args] = peer.command;
  const running = await start({ ...peer, command: [program, command, "--v8-flags=--expose-gc", ...args] }, idle);
  try {
    const { resident } = await running.usage();
    return { "idle, MB": resident / 1_000_000, "held, MB": (running.outcome.held ?? NaN) / 1_000_000 };
  } finally {
    await running.end();
  }
}

/** The table of a series, for a terminal. */
export function seriesTable(columns: readonly Column[], rows: readonly Record<Column, string | number>[]): string {
  const text = (cell: string | number) => typeof cell === "number" ? format(cell) : cell;
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => i === 0 ? `  ${cell.padEnd(38)}` : cell.padStart(17)).join("");
  return [line(columns), ...rows.map((row) => line(columns.map((column) => text(row[column]))))].join("\n");
}
