/**
 * The queues of an order topic, as its operator has listed them: `broker-a:4;broker-b:4`.
 *
 * @module
 */

import { LONGEST_NAME, MOST_BROKERS, MOST_QUEUES, ShortList, shown } from "./route_limits.ts";

/** One entry: how many queues of a broker take messages, from queue 0 on. */
export interface OrderedBroker {
  /** The broker's name. */
  readonly broker: string;
  /** How many queues. */
  readonly queues: number;
}

/**
 * Reads an `orderTopicConf`. A broker counts once and the sum is bounded, so no text makes a queue twice or fills the
 * memory. Source: MQClientInstance, which ignores what follows a second colon.
 *
 * @param leftOut takes the entries that cannot be used, each with the reason
 */
export function readOrderConf(text: string, leftOut: ShortList = new ShortList()): OrderedBroker[] {
  const brokers: OrderedBroker[] = [];
  const names = new Set<string>();
  let left = MOST_QUEUES;
  for (const entry of text.split(";")) {
    if (entry === "") continue;
    const [broker = "", count = ""] = entry.split(":");
    const queues = /^\+?\d{1,10}$/.test(count) ? Number(count) : NaN;
    const problem = broker === "" || broker.length > LONGEST_NAME || Number.isNaN(queues)
      ? "it is not of the form broker:number"
      : names.has(broker)
      ? "the broker has an entry already"
      : names.size === MOST_BROKERS || queues > left
      ? `an order has ${MOST_BROKERS} brokers and ${MOST_QUEUES} queues at most`
      : undefined;
    if (problem !== undefined) {
      leftOut.add(`entry ${shown(entry)} of orderTopicConf: ${problem}`);
      continue;
    }
    names.add(broker);
    left -= queues;
    brokers.push({ broker, queues });
  }
  return brokers;
}

/** Writes entries as {@linkcode readOrderConf} reads them. */
export function writeOrderConf(brokers: readonly OrderedBroker[]): string {
  return brokers.map(({ broker, queues }) => `${broker}:${queues}`).join(";");
}
