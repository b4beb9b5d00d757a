/**
 * Queues for members in the same machine room.
 *
 * @module
 */

import { ValidationError } from "../../errors.ts";
import type { MessageQueue } from "../../message.ts";
import { OptionsCheck } from "../../options.ts";
import { average } from "./average.ts";
import { type AllocationContext, type AllocationStrategy, isAllocationStrategy } from "./strategy.ts";

/**
 * Returns where brokers and clients are. All members of the group must get the same.
 *
 * @category Advanced
 */
export interface RoomResolver {
  /** The room of the broker that holds a queue; never empty. */
  roomOfQueue(queue: MessageQueue): string;
  /** The room of a member, by its client id; never empty. */
  roomOfClient(clientId: string): string;
}

/**
 * Options of {@linkcode machineRoomNearby}.
 *
 * @category Advanced
 */
export interface MachineRoomNearbyOptions {
  /** Returns where brokers and clients are. */
  resolver: RoomResolver;
  /**
   * Divides the queues of a room between those who may have them.
   *
   * @default {average()}
   */
  inner?: AllocationStrategy;
}

/**
 * Assigns the queues of each room to the members in it, and those of rooms without a member to all members.
 *
 * When the last member of a room leaves, its queues go to everybody; they return with the first that comes back.
 * A resolver that does not know a room fails the computation for all members, so name a room for strangers too.
 *
 * @example Rooms in front of the names: `east-broker-1`, `east-10.0.0.7@…`
 * ```ts
 * import { consistentHash, machineRoomNearby } from "@denorocket/rocketmq/consumer";
 *
 * const roomOf = (name: string) => name.includes("-") ? name.slice(0, name.indexOf("-")) : "elsewhere";
 *
 * const allocation = machineRoomNearby({
 *   resolver: { roomOfQueue: (queue) => roomOf(queue.broker), roomOfClient: roomOf },
 *   inner: consistentHash(),
 * });
 *
 * console.log(allocation.name); // MACHINE_ROOM_NEARBY-CONSISTENT_HASH
 * ```
 *
 * Source: AllocateMachineRoomNearby.
 *
 * @throws {ConfigError} if an option is missing or not allowed
 * @category Advanced
 */
export function machineRoomNearby(options: MachineRoomNearbyOptions): AllocationStrategy {
  const { resolver, inner } = checkOptions(options);
  return {
    name: `MACHINE_ROOM_NEARBY-${inner.name}`,
    allocate(context: AllocationContext): readonly MessageQueue[] {
      const { clientId, queues, members, index = members.indexOf(clientId) } = context;
      if (queues.length === 0 || !members.includes(clientId)) return [];
      const queuesIn = groupBy(queues, (queue) => roomOfQueue(resolver, queue));
      const membersIn = groupBy(members, (member) => roomOfClient(resolver, member));
      const near = roomOfClient(resolver, clientId);
      const abandoned = [...queuesIn.keys()].filter((room) => !membersIn.has(room)).sort();
      return [near, ...abandoned].filter((room) => queuesIn.has(room)).flatMap((room) => {
        const inRoom = { ...context, queues: queuesIn.get(room) ?? [], members: membersIn.get(room) ?? members };
        return inner.allocate({ ...inRoom, index: sameEntry(members, index, inRoom.members) });
      });
    },
  };
}

/** Where the entry `index` of `members` stands in `some`, which has all entries of its id. */
function sameEntry(members: readonly string[], index: number, some: readonly string[]): number {
  const id = members[index];
  let left = members.slice(0, index).filter((member) => member === id).length;
  return some.findIndex((member) => member === id && left-- === 0);
}

function checkOptions(options: MachineRoomNearbyOptions): Required<MachineRoomNearbyOptions> {
  const check = new OptionsCheck("make the strategy machineRoomNearby()");
  check.known(options, ["resolver", "inner"]);
  const { resolver, inner = average() } = options;
  if (typeof resolver?.roomOfQueue !== "function" || typeof resolver.roomOfClient !== "function") {
    check.add("resolver", resolver, "an object with roomOfQueue and roomOfClient");
  }
  if (!isAllocationStrategy(inner)) check.add("inner", inner, "a strategy: average(), consistentHash()");
  check.done();
  return { resolver, inner };
}

function roomOfQueue(resolver: RoomResolver, queue: MessageQueue): string {
  const { topic, broker, queueId } = queue;
  return checkRoom(`roomOfQueue(${topic}@${broker}@${queueId})`, resolver.roomOfQueue(queue));
}

function roomOfClient(resolver: RoomResolver, clientId: string): string {
  return checkRoom(`roomOfClient("${clientId}")`, resolver.roomOfClient(clientId));
}

function checkRoom(field: string, room: unknown): string {
  if (typeof room === "string" && room !== "") return room;
  throw new ValidationError("divide queues by rooms", [{ field, value: room, allowed: "a text, not empty" }]);
}

/** `Map.groupBy`, which Node 20 does not have. */
function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}
