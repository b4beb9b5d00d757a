/**
 * What is measured: jobs that a program does, and the rows that a job gives.
 *
 * @module
 */

import type { PeerId } from "../peers/peers.ts";
import type { Work } from "../peers/work.ts";
import type { Sample } from "./sample.ts";

/** A line of the table. */
export interface Row {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  /** Whether more is better. */
  readonly more: boolean;
  /** The row's figure of one measurement; NaN if the program does not tell it. */
  readonly of: (sample: Sample) => number;
  /** Who is measured by the way, but has no figure here. */
  readonly without?: readonly PeerId[];
}

/** One kind of measurement. */
export interface Job {
  readonly id: string;
  readonly peers: readonly PeerId[];
  /** The order, as far as it is the same for all; `count` at full length. */
  readonly work: Partial<Work>;
  /** Whether there have to be messages in its topic; jobs that name the same backlog share it. */
  readonly backlog?: string;
  /** Settings that the broker has meanwhile, and those that it has otherwise. */
  readonly config?: { readonly during: Record<string, string>; readonly after: Record<string, string> };
  /** How long clients are watched that do nothing, in seconds. */
  readonly watched?: number;
  readonly rows: readonly Row[];
}

const OURS: readonly PeerId[] = ["ours", "ours-bun", "ours-node"];
const EVERYBODY: readonly PeerId[] = [
  "ceiling",
  "bare",
  ...OURS,
  "java",
  "java-tuned",
  "go",
  "go-tuned",
  "ali-ons",
  "ali-ons-tuned",
];
/** Go and ali-ons have no settings that matter to a producer. */
const PRODUCERS: readonly PeerId[] = ["ceiling", ...OURS, "java", "java-tuned", "go", "ali-ons"];

const perSecond = ({ outcome }: Sample) => outcome.count / outcome.seconds;
const peak = ({ usage }: Sample) => usage.peak / 1_000_000;
const cpuEach = ({ outcome }: Sample) => outcome.cpu / outcome.count * 1_000_000;

const rate = (id: string, title: string): Row => ({ id, title, unit: "msg/s", more: true, of: perSecond });
const latency = (id: string, title: string, name: "p50" | "p99"): Row => ({
  id,
  title,
  unit: "ms",
  more: false,
  of: ({ outcome }) => outcome[name] ?? NaN,
});

/** Messages of the small backlog: so many that virtual machines have compiled what they run most of the time. */
export const BACKLOG = 524_288;

/** All jobs, in their order. */
export const JOBS: readonly Job[] = [
  {
    id: "backlog",
    peers: EVERYBODY,
    work: { kind: "consume", count: BACKLOG, bytes: 256 },
    backlog: "backlog-256",
    rows: [
      rate("backlog", "consume a backlog, 256 B, 8 queues"),
      { id: "cpu", title: "CPU per consumed message, 256 B", unit: "µs", more: false, of: cpuEach },
      {
        id: "first",
        title: "first message after the client's start",
        unit: "ms",
        more: false,
        of: ({ outcome }) => outcome.first ?? NaN,
        without: ["bare", "ceiling"],
      },
      { id: "peak", title: "peak memory meanwhile", unit: "MB", more: false, of: peak },
    ],
  },
  {
    id: "backlog-4k",
    peers: EVERYBODY,
    work: { kind: "consume", count: 131_072, bytes: 4_096 },
    backlog: "backlog-4k",
    rows: [
      rate("backlog-4k", "consume a backlog, 4 KiB, 8 queues"),
      { id: "cpu-4k", title: "CPU per consumed message, 4 KiB", unit: "µs", more: false, of: cpuEach },
    ],
  },
  {
    id: "raised",
    peers: ["ceiling", "bare", ...OURS, "java"],
    work: { kind: "pull", count: BACKLOG, bytes: 256, pullBatch: 1_024 },
    backlog: "backlog-256",
    config: {
      during: { maxTransferCountOnMessageInMemory: "1024", maxTransferBytesOnMessageInMemory: "4194304" },
      after: { maxTransferCountOnMessageInMemory: "32", maxTransferBytesOnMessageInMemory: "262144" },
    },
    rows: [rate("raised", "the broker's caps raised, pulls of 1 024 (Java: its raw pull)")],
  },
  {
    id: "send",
    peers: PRODUCERS,
    work: { kind: "send", count: 128_000, warmUp: 32_000, inFlight: 128 },
    rows: [rate("send", "send, 128 in flight, 256 B")],
  },
  {
    id: "send-serial",
    peers: PRODUCERS,
    work: { kind: "send", count: 16_000, warmUp: 8_000, inFlight: 1 },
    rows: [
      rate("send-serial", "send one after another"),
      latency("send-serial-p99", "send one after another, p99", "p99"),
    ],
  },
  {
    id: "batch-1",
    peers: ["ceiling", "ours", "java", "java-tuned", "go"],
    work: { kind: "send", count: 384_000, warmUp: 96_000, inFlight: 1, batch: 32 },
    rows: [rate("batch-1", "batches of 32, 1 caller")],
  },
  {
    id: "batch-8",
    peers: ["ceiling", ...OURS, "java", "java-tuned", "go"],
    work: { kind: "send", count: 384_000, warmUp: 96_000, inFlight: 8, batch: 32 },
    rows: [rate("batch-8", "batches of 32, 8 callers")],
  },
  {
    id: "oneway",
    peers: ["ceiling", ...OURS, "java", "java-tuned", "go"],
    // From 65 536 on Java's client, untuned, waits for itself and loses the rest.
    work: { kind: "send", count: 48_000, warmUp: 8_000, inFlight: 32, oneway: true },
    rows: [
      {
        id: "oneway",
        title: "oneway sends, until the last is stored",
        unit: "msg/s",
        more: true,
        of: ({ outcome, storedSeconds }) => outcome.count / storedSeconds,
      },
      rate("oneway-client", "the same by the client's own clock"),
    ],
  },
  {
    id: "linger",
    peers: [...OURS, "java-tuned", "go", "ali-ons"],
    work: { kind: "send", count: 240_000, warmUp: 40_000, inFlight: 1_024, linger: 5 },
    rows: [rate("linger", "single sends, 1 024 in flight, gathered by clients that can")],
  },
  {
    id: "end-to-end",
    peers: [...OURS, "java", "java-tuned", "go", "ali-ons"],
    work: { kind: "endToEnd", count: 2_275, warmUp: 325, rate: 650 },
    rows: [
      latency("end-to-end-p50", "end to end at 650 msg/s, p50", "p50"),
      latency("end-to-end-p99", "end to end at 650 msg/s, p99", "p99"),
    ],
  },
  {
    id: "idle",
    // What is tuned is how much is buffered and handled at a time: nothing here.
    peers: ["bare", ...OURS, "java", "go", "ali-ons"],
    work: { kind: "idle", queues: 64 },
    watched: 20,
    rows: [
      {
        id: "idle-cpu",
        title: "idle consumer, 64 queues: CPU",
        unit: "%",
        more: false,
        of: ({ idleShare }) => idleShare * 100,
      },
      {
        id: "idle-memory",
        title: "idle consumer, 64 queues: memory",
        unit: "MB",
        more: false,
        of: ({ usage }) => usage.resident / 1_000_000,
      },
    ],
  },
];
