/**
 * Measures jobs: every peer in turn, round after round, and checks that no message is missing.
 *
 * @module
 */

import type { Peer, PeerId } from "../peers/peers.ts";
import { defaultWork, type Outcome, type Work } from "../peers/work.ts";
import type { BenchBroker } from "./broker.ts";
import type { Job } from "./jobs.ts";
import { type Running, start } from "./process.ts";
import type { Sample } from "./sample.ts";

/** How long a client that is to do nothing may still start, in milliseconds. */
const SETTLING = 5_000;
/** What the number of messages in a queue has to be a multiple of, for every pull to be full. */
const PULL = 1_024;

/** What came of a job, by peer, in the order of rounds. */
export type Samples = ReadonlyMap<PeerId, readonly Sample[]>;

/** How much is measured. */
export interface Extent {
  readonly rounds: number;
  /** The share of a job's messages, and of the time for which clients are watched. */
  readonly scale: number;
}

/** Measures jobs on one broker. */
export class Runner {
  readonly #broker: BenchBroker;
  readonly #extent: Extent;
  readonly #say: (line: string) => void;
  /** The sizes of records in the backlogs that are there, by topic. */
  readonly #backlogs = new Map<string, number>();
  readonly #topics = new Set<string>();

  constructor(broker: BenchBroker, extent: Extent, say: (line: string) => void) {
    this.#broker = broker;
    this.#extent = extent;
    this.#say = say;
  }

  /** Measures one job. */
  async run(job: Job, peers: readonly Peer[]): Promise<Samples> {
    const samples = new Map<PeerId, Sample[]>(peers.map(({ id }) => [id, []]));
    const work = await this.#prepare(job);
    if (job.config !== undefined) await this.#broker.configure(job.config.during);
    for (let round = 1; round <= this.#extent.rounds; round++) {
      const turns = job.watched === undefined
        ? this.#oneByOne(job, peers, work, round)
        : await this.#together(job, peers, work, round);
      for await (const [peer, sample] of turns) {
        samples.get(peer.id)!.push(sample);
        this.#say(`  round ${round}  ${peer.label.padEnd(22)} ${describe(job, sample)}`);
      }
    }
    if (job.config !== undefined) await this.#broker.configure(job.config.after);
    return samples;
  }

  /** Lets the broker's compiler see what comes. */
  async warmUp(ceiling: Peer, jobs: readonly Job[]): Promise<void> {
    for (const job of jobs.filter(({ id }) => id === "backlog" || id === "send")) {
      const work = await this.#prepare(job);
      for (let turn = 0; turn < 2; turn++) await this.#one(job, ceiling, work, 0);
    }
  }

  /** Makes what has to be there, once; returns the order for all. */
  async #prepare(job: Job): Promise<Work> {
    const work: Work = {
      ...defaultWork,
      ...job.work,
      nameServer: this.#broker.nameServer,
      broker: this.#broker.address,
      topic: job.backlog ?? `bench-${job.work.kind}`,
    };
    const { topic, queues, bytes, kind } = work;
    if (job.backlog === undefined) {
      if (kind !== "endToEnd") await this.#createTopic(topic, queues);
      const share = kind === "endToEnd" ? Math.max(0.25, Math.min(1, this.#extent.scale)) : this.#extent.scale;
      const scaled = (count: number) => Math.ceil(count * share / work.batch) * work.batch;
      return { ...work, count: scaled(work.count), warmUp: scaled(work.warmUp) };
    }
    const perQueue = Math.max(1, Math.round(work.count * this.#extent.scale / queues / PULL)) * PULL;
    const recordBytes = this.#backlogs.get(topic) ?? await this.#broker.fill({ topic, queues, perQueue, bytes });
    this.#backlogs.set(topic, recordBytes);
    return { ...work, count: perQueue * queues, recordBytes };
  }

  async #createTopic(topic: string, queues: number): Promise<void> {
    if (!this.#topics.has(topic)) await this.#broker.createTopic(topic, queues);
    this.#topics.add(topic);
  }

  async *#oneByOne(job: Job, peers: readonly Peer[], work: Work, round: number): AsyncGenerator<[Peer, Sample]> {
    for (const peer of peers) yield [peer, await this.#one(job, peer, work, round)];
  }

  async #one(job: Job, peer: Peer, common: Work, round: number): Promise<Sample> {
    const { tuned } = peer;
    const group = `bench-${job.id}-${peer.id}-${round}`;
    const topic = common.kind === "endToEnd" ? group : common.topic;
    const work: Work = { ...common, tuned, group, topic, linger: gathers(peer) ? common.linger : 0 };
    if (work.kind === "endToEnd") await this.#createTopic(topic, work.queues);
    const before = work.kind === "send" ? await this.#broker.stored(topic, work.queues) : 0;
    const running = await start(peer, work).catch((error) => String(error));
    if (typeof running === "string") return { ...nothing, outcome: noOutcome, problem: running };
    try {
      if (running.outcome.unsupported !== undefined) return { ...nothing, outcome: running.outcome };
      const check = work.kind === "send"
        ? await this.#checkSent(running, work, before)
        : { storedSeconds: NaN, ...checkReceived(running, work) };
      return { outcome: running.outcome, usage: await running.usage(), idleShare: NaN, ...check };
    } finally {
      await running.end();
    }
  }

  async #checkSent({ outcome }: Running, work: Work, before: number): Promise<Partial<Sample> & Stored> {
    const expected = work.warmUp + work.count;
    const stored = await this.#broker.untilStored(work.topic, work.queues, before + expected) - before;
    const storedSeconds = (Date.now() - (outcome.startedAt ?? NaN)) / 1_000;
    if (stored >= expected) return { storedSeconds }; // more: sent again, as clients may
    return { storedSeconds, problem: `${stored} stored of ${expected} sent` };
  }

  /** Clients that do nothing do not disturb each other: all are watched at the same time. */
  async #together(job: Job, peers: readonly Peer[], common: Work, round: number): Promise<[Peer, Sample][]> {
    const running: [Peer, Running][] = [];
    try {
      for (const peer of peers) {
        const work = { ...common, tuned: peer.tuned, group: `bench-${job.id}-${peer.id}-${round}` };
        running.push([peer, await start(peer, work)]);
      }
      const seconds = job.watched! * Math.max(this.#extent.scale, 0.1);
      await sleep(SETTLING);
      const before = await Promise.all(running.map(([, each]) => each.usage()));
      await sleep(seconds * 1_000);
      return await Promise.all(running.map(async ([peer, { outcome, usage }], i): Promise<[Peer, Sample]> => {
        const after = await usage();
        const idleShare = (after.threads - before[i]!.threads) / seconds;
        return [peer, { outcome, usage: after, idleShare, storedSeconds: NaN }];
      }));
    } finally {
      await Promise.all(running.map(([, each]) => each.end()));
    }
  }
}

interface Stored {
  readonly storedSeconds: number;
}

/** The outcome of a program that has told none. */
const noOutcome: Outcome = { count: 0, distinct: 0, seconds: 0, cpu: 0 };

const nothing = { usage: { cpu: 0, threads: 0, peak: 0, resident: 0 }, storedSeconds: NaN, idleShare: NaN };

/** Whether a client gathers single sends: ours is told to, Java's if it is tuned. */
function gathers({ id }: Peer): boolean {
  return id.startsWith("ours") || id === "java-tuned";
}

function checkReceived({ outcome }: Running, { count }: Work): { problem?: string } {
  if (outcome.distinct === count) return {};
  return { problem: `${outcome.distinct} different messages of ${count}` };
}

function describe(job: Job, sample: Sample): string {
  const { unsupported } = sample.outcome;
  if (unsupported !== undefined) return `does not have it: ${unsupported}`;
  if (sample.problem !== undefined) return `NOT COUNTED: ${sample.problem}`;
  const figures = job.rows.map(({ of, unit }) => `${format(of(sample))} ${unit}`);
  const repeated = sample.outcome.count - sample.outcome.distinct;
  if (repeated > 0) figures.push(`${repeated} came twice`);
  return figures.join(", ");
}

/** A figure for people: three digits, or all before the point. */
export function format(figure: number): string {
  if (Number.isNaN(figure)) return "–";
  const digits = figure >= 100 ? 0 : figure >= 10 ? 1 : 2;
  return figure.toLocaleString("en", { maximumFractionDigits: digits }).replaceAll(",", " ");
}

function sleep(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, time));
}
