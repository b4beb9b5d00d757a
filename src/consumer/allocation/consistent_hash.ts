/**
 * Shares that stay where they are when members come and go.
 *
 * @module
 */

import { builtin } from "../../builtin.ts";
import type { MessageQueue } from "../../message.ts";
import { OptionsCheck } from "../../options.ts";
import type { AllocationContext, AllocationStrategy } from "./strategy.ts";

/** How many rings are kept, the newest first. A group has one, or two below `machineRoomNearby()`. */
const KEPT_RINGS = 4;

/**
 * Options of {@linkcode consistentHash}.
 *
 * @category Advanced
 */
export interface ConsistentHashOptions {
  /**
   * How many points each member has on the ring, 1 to 1 000; the same for all members of the group. More points make
   * the shares more even and every change of members dearer.
   *
   * @default {10}
   */
  virtualNodes?: number;
}

/**
 * Puts members and queues on a ring by their hashes; a queue belongs to the member that follows it.
 *
 * A member that joins takes queues from others and gives none away, one that leaves is the only one whose queues move.
 * The price is uneven shares: among ten members from a third of the average to twice as much, among hundreds from next
 * to nothing to three times, and with as many members as queues two in five have none. A client of this package has a
 * new id with every start: a restart is a leave and a join.
 *
 * The ring is Java's, so that groups may be mixed. It is kept until the members change.
 *
 * Source: AllocateMessageQueueConsistentHash, ConsistentHashRouter.
 *
 * @throws {ConfigError} if an option is not allowed
 * @category Advanced
 */
export function consistentHash(options: ConsistentHashOptions = {}): AllocationStrategy {
  const check = new OptionsCheck("make the strategy consistentHash()");
  check.known(options, ["virtualNodes"]);
  const virtualNodes = check.integer("virtualNodes", options.virtualNodes, 10, 1, 1_000);
  check.done();
  let rings: readonly Ring[] = [];
  // Routes keep their queues while these do not change, so that few of them are ever hashed again.
  const positions = new WeakMap<MessageQueue, number>();

  function ringOf(members: readonly string[]): Ring {
    const ring = rings.find((kept) => kept.isOf(members)) ?? new Ring(members, virtualNodes, rings);
    rings = [ring, ...rings.filter((kept) => kept !== ring)].slice(0, KEPT_RINGS);
    return ring;
  }

  function positionOf(queue: MessageQueue): number {
    let position = positions.get(queue);
    if (position === undefined) {
      position = hash(`MessageQueue [topic=${queue.topic}, brokerName=${queue.broker}, queueId=${queue.queueId}]`);
      positions.set(queue, position);
    }
    return position;
  }

  return {
    name: "CONSISTENT_HASH",
    allocate({ clientId, queues, members }: AllocationContext): readonly MessageQueue[] {
      if (!members.includes(clientId)) return [];
      const ring = ringOf(members);
      return queues.filter((queue) => ring.ownerAt(positionOf(queue)) === clientId);
    },
  };
}

/** The points of one list of members, sorted. */
class Ring {
  #members: readonly string[];
  /** What each member's points hash to, by their number. Rings share these, so that a join hashes the new id only. */
  #points = new Map<string, number[]>();
  #positions: Uint32Array;
  #owners: readonly string[];

  constructor(members: readonly string[], virtualNodes: number, others: readonly Ring[]) {
    this.#members = [...members];
    const owners = new Map<number, string>();
    const counts = new Map<string, number>();
    for (const member of members) {
      const points = others.map((ring) => ring.#points.get(member)).find((known) => known !== undefined) ?? [];
      this.#points.set(member, points);
      // As in Java: an id that stands there twice has twice the points, and a point that is hit again changes hands.
      const first = counts.get(member) ?? 0;
      counts.set(member, first + virtualNodes);
      for (let number = first; number < first + virtualNodes; number++) {
        owners.set(points[number] ??= hash(`${member}-${number}`), member);
      }
    }
    this.#positions = Uint32Array.from(owners.keys()).sort();
    this.#owners = Array.from(this.#positions, (position) => owners.get(position)!);
  }

  /** Whether it was made for the same list. */
  isOf(members: readonly string[]): boolean {
    return members.length === this.#members.length && members.every((member, at) => member === this.#members[at]);
  }

  /** The member at the first point that is not before a position; behind the last point comes the first. */
  ownerAt(position: number): string | undefined {
    let low = 0;
    let high = this.#positions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#positions[middle]! < position) low = middle + 1;
      else high = middle;
    }
    return this.#owners[low] ?? this.#owners[0];
  }
}

/** The first four bytes of a text's MD5 as a number. From hexadecimal digits: bytes are slower to get at. */
function hash(text: string): number {
  return Number.parseInt(builtin("node:crypto").createHash("md5").update(text).digest("hex").slice(0, 8), 16);
}
