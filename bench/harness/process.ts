/**
 * One program in a process of its own: its last line, and what Linux says of the process.
 *
 * @module
 */

import type { Peer } from "../peers/peers.ts";
import { type Outcome, wordsOf, type Work } from "../peers/work.ts";

/** How long a program may take, in milliseconds. */
const PATIENCE = 120_000;
/** Linux counts processor time in hundredths of a second. */
const TICKS = 100;

/** What a process has spent so far. Zero where there is no `/proc`. */
export interface Usage {
  /** Processor time of all its threads, in seconds. */
  readonly cpu: number;
  /** The same of the threads that it has now, counted exactly. */
  readonly threads: number;
  /** The most memory that it had at a time, in bytes. */
  readonly peak: number;
  /** The memory that it has now, in bytes. */
  readonly resident: number;
}

/** A program that has printed its outcome, and still runs. */
export interface Running {
  readonly outcome: Outcome;
  /** What it has spent until now. */
  usage(): Promise<Usage>;
  /** Ends it. */
  end(): Promise<void>;
}

/** Runs a program until it has printed its outcome. */
export async function start(peer: Pick<Peer, "label" | "command" | "env">, work: Work): Promise<Running> {
  const [program = "", ...args] = peer.command;
  const command = new Deno.Command(program, {
    args: [...args, ...wordsOf(work)],
    env: { ...peer.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const child = command.spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  const complaints = new Response(child.stderr).text();
  const outcome = await readOutcome(child.stdout);
  clearTimeout(timer);
  if (outcome === undefined) {
    await child.stdin.close().catch(() => {});
    await child.status;
    const last = (await complaints).trimEnd().split("\n").slice(-10).join("\n");
    throw new Error(`${peer.label} has printed no outcome of "${work.kind}"\n${last}`);
  }
  return {
    outcome,
    usage: () => usageOf(child.pid),
    async end() {
      await child.stdin.close(); // what it waits for
      const kill = setTimeout(() => child.kill("SIGKILL"), 2_000);
      await child.status;
      clearTimeout(kill);
      await complaints;
    },
  };
}

/** Reads lines until one is an outcome; goes on reading, so that the program can print more. */
async function readOutcome(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Outcome | undefined> {
  const reader = stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return undefined;
    text += value;
    const line = /^\{"count":.*\}$/m.exec(text)?.[0];
    if (line === undefined) continue;
    (async () => {
      while (!(await reader.read()).done);
    })();
    return JSON.parse(line);
  }
}

async function usageOf(pid: number): Promise<Usage> {
  if (Deno.build.os !== "linux") return { cpu: 0, threads: 0, peak: 0, resident: 0 };
  const [stat, status] = await Promise.all([
    Deno.readTextFile(`/proc/${pid}/stat`),
    Deno.readTextFile(`/proc/${pid}/status`),
  ]);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const size = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0) * 1_024;
  const cpu = (Number(fields[11]) + Number(fields[12])) / TICKS;
  return { cpu, threads: await threadSeconds(pid), peak: size("VmHWM"), resident: size("VmRSS") };
}

/** Processor time of all threads that are there; one that ends meanwhile counts for nothing. */
async function threadSeconds(pid: number): Promise<number> {
  const threads = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) =>
    Deno.readTextFile(`/proc/${pid}/task/${name}/schedstat`).catch(() => "0")
  );
  const nanoseconds = (await Promise.all(threads)).map((text) => Number(text.split(" ")[0]));
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e9;
}
