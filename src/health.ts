/**
 * Whether a client, and what it runs, is well: what is known without a request.
 *
 * @module
 */

/**
 * One reason why nothing arrives, or what is known where there is none.
 *
 * @category Consume
 */
export interface Finding {
  /** A stable name: `"nobodyAsks"`, `"paused"`, `"brokerUnreachable"` … */
  readonly code: FindingCode;
  /** What was found, with its numbers. */
  readonly text: string;
  /** What to do about it. */
  readonly remedy: string;
}

/**
 * The findings there are.
 *
 * @category Consume
 */
export type FindingCode =
  | "closed"
  | "nobodyAsks"
  | "unsettled"
  | "handlersBusy"
  | "noQueues"
  | "offsetsTaken"
  | "paused"
  | "missingTopic"
  | "starting"
  | "locked"
  | "brokerUnreachable"
  | "mixedSubscriptions"
  | "startsAtEnd"
  | "filtered"
  | "behind"
  | "upToDate";

/**
 * A server as far as this client uses it.
 *
 * @category Start
 */
export interface ServerHealth {
  /** The broker's name; the address of a name server. */
  readonly name: string;
  /** The `host:port`. */
  readonly address: string;
  /** `"connected"`, `"unused"` while nobody has needed a connection, or `"unreachable"`. */
  readonly state: "connected" | "unused" | "unreachable";
}

/**
 * A consumer, POP consumer or reader.
 *
 * @category Start
 */
export interface ConsumerHealth {
  /** What it is. */
  readonly kind: "consumer" | "popConsumer" | "reader";
  /** The group. */
  readonly group: string;
  /** Whether nothing is in its way; a member without a queue, as there are more members than queues, is well. */
  readonly ok: boolean;
  /** Queues that are assigned to it; with POP the places where it pops. */
  readonly queues: number;
  /** Messages delivered and not settled. */
  readonly inFlight: number;
  /** What keeps it from working. */
  readonly findings: readonly Finding[];
}

/**
 * A producer.
 *
 * @category Start
 */
export interface ProducerHealth {
  /** What it is. */
  readonly kind: "producer";
  /** The group. */
  readonly group: string;
  /** Whether it may send. */
  readonly ok: boolean;
  /** Calls that have not ended. */
  readonly inFlight: number;
}

/**
 * The health of a client.
 *
 * @category Start
 */
export interface ClientHealth {
  /** Whether a name server and all brokers answer, and all consumers work. */
  readonly ok: boolean;
  /** The name servers. */
  readonly nameServers: readonly ServerHealth[];
  /** The brokers of the topics that are used. */
  readonly brokers: readonly ServerHealth[];
  /** The consumers, POP consumers and readers. */
  readonly consumers: readonly ConsumerHealth[];
  /** The producers. */
  readonly producers: readonly ProducerHealth[];
}
