/**
 * What a program of the benchmark is told to do, and what it tells in return. The Java and Go programs speak the same.
 *
 * @module
 */

/** What is measured. */
export type WorkKind = "consume" | "pull" | "send" | "endToEnd" | "idle";

/** The order for one program: `name=value` words on its command line. */
export interface Work {
  readonly kind: WorkKind;
  /** The name server's `host:port`. */
  readonly nameServer: string;
  /** The broker's `host:port`, for programs that look nothing up. */
  readonly broker: string;
  readonly topic: string;
  /** How many topics, named `topic-0`, `topic-1`, …; 0 is the one topic of that name. */
  readonly topics: number;
  readonly group: string;
  /** Queues of each topic. */
  readonly queues: number;
  /** How many messages count. The backlog has them numbered from 0, evenly in all queues. */
  readonly count: number;
  /** The size of a body. */
  readonly bytes: number;
  /** The size of a stored record of the backlog: how who decodes nothing counts messages. */
  readonly recordBytes: number;
  /** How many messages a pull asks for. */
  readonly pullBatch: number;
  /** How many sends wait for their answer at a time. */
  readonly inFlight: number;
  /** How many messages one send carries. */
  readonly batch: number;
  /** Whether nobody waits for an answer. */
  readonly oneway: boolean;
  /** How long a client may gather single sends, in milliseconds; 0 is not at all. */
  readonly linger: number;
  /** Messages that are sent before the clock starts. */
  readonly warmUp: number;
  /** Messages in a second, from end to end. */
  readonly rate: number;
  /** Whether the client gets its best settings instead of its defaults. */
  readonly tuned: boolean;
  /** Loops over one consumer. */
  readonly loops: number;
  /** What is kept in order: `concurrent`, `orderly`, or `byKey`, where each message has a key of its own. */
  readonly ordering: string;
  /** Whether messages are taken by `runEach` instead. */
  readonly each: boolean;
  /** How long a handler takes, in milliseconds. */
  readonly handler: number;
  /** Whether it takes that without letting go of the thread. */
  readonly blocking: boolean;
}

/** What is not given. */
export const defaultWork: Work = {
  kind: "consume",
  nameServer: "",
  broker: "",
  topic: "bench",
  topics: 0,
  group: "bench",
  queues: 8,
  count: 0,
  bytes: 256,
  recordBytes: 0,
  pullBatch: 32,
  inFlight: 1,
  batch: 1,
  oneway: false,
  linger: 0,
  warmUp: 0,
  rate: 0,
  tuned: false,
  loops: 1,
  ordering: "concurrent",
  each: false,
  handler: 0,
  blocking: false,
};

/** What a program prints when it is done: one line of JSON. Then it waits for the end of its input. */
export interface Outcome {
  /** Messages handled or sent, those that came twice included; without the warm-up. */
  readonly count: number;
  /** Different ones among them. Who decodes nothing goes by bytes. */
  readonly distinct: number;
  /** From the first message to the last, as a handler sees them; from the first send to the last answer. */
  readonly seconds: number;
  /** What the process spent on that, in seconds. */
  readonly cpu: number;
  /** From the client's creation to the first message, in milliseconds. */
  readonly first?: number;
  /** When the first send left, in milliseconds since 1970. */
  readonly startedAt?: number;
  /** How long a message took, or a send, in milliseconds. */
  readonly p50?: number;
  readonly p99?: number;
  /** What the program holds in memory after a garbage collection, in bytes; only where it may ask for one. */
  readonly held?: number;
  /** The latest turn of the event loop while messages were handled, in milliseconds. */
  readonly lateness?: number;
  /** What cannot be measured because the client does not have it. */
  readonly unsupported?: string;
}

/** Writes an order as words. */
export function wordsOf(work: Work): string[] {
  return Object.entries(work).map(([name, value]) => `${name}=${value}`);
}

/** Reads an order. */
export function parseWork(words: readonly string[]): Work {
  const given = words.map((word): [string, string] => {
    const at = word.indexOf("=");
    return [word.slice(0, at), word.slice(at + 1)];
  });
  const values = given.map(([name, text]) => {
    switch (typeof defaultWork[name as keyof Work]) {
      case "number":
        return [name, Number(text)];
      case "boolean":
        return [name, text === "true"];
      case "string":
        return [name, text];
      default:
        throw new TypeError(`Cannot read the order: "${name}" is not known`);
    }
  });
  return { ...defaultWork, ...Object.fromEntries(values) };
}

/** The names of the topics of an order. */
export function topicsOf({ topic, topics }: Work): string[] {
  return topics === 0 ? [topic] : Array.from({ length: topics }, (_, i) => `${topic}-${i}`);
}
