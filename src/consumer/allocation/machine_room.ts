/**
 * Shares of the queues in certain machine rooms.
 *
 * @module
 */

import { ConfigError } from "../../errors.ts";
import type { MessageQueue } from "../../message.ts";
import type { AllocationContext, AllocationStrategy } from "./strategy.ts";

/**
 * Divides the queues of certain rooms evenly; nobody takes the others. The room is what precedes the `@` in a broker's
 * name: `room1` of `room1@broker-a`.
 *
 * Each member gets a run of neighbouring queues, and what is left over goes one by one to the first members. All
 * members of the group must name the same rooms, wherever they are themselves; to prefer members that are near, take
 * {@linkcode machineRoomNearby}. Retries arrive on all brokers that hold the retry topic, and those outside of the
 * rooms are read by nobody.
 *
 * Source: AllocateMessageQueueByMachineRoom.
 *
 * @throws {ConfigError} if there is no room, or one that no broker's name could hold
 * @category Advanced
 */
export function machineRoom(rooms: readonly string[]): AllocationStrategy {
  const wanted = checkRooms(rooms);
  return {
    name: "MACHINE_ROOM",
    allocate(
      { clientId, queues, members, index = members.indexOf(clientId) }: AllocationContext,
    ): readonly MessageQueue[] {
      if (index < 0) return [];
      const inside = queues.filter(({ broker }) => wanted.has(roomOf(broker)));
      const base = Math.floor(inside.length / members.length);
      const ours = inside.slice(index * base, (index + 1) * base);
      const leftOver = inside[members.length * base + index];
      return leftOver === undefined ? ours : [...ours, leftOver];
    },
  };
}

function checkRooms(rooms: readonly string[]): ReadonlySet<string> {
  const isRoom = (room: unknown) => typeof room === "string" && room !== "" && !room.includes("@");
  const problems = Array.isArray(rooms) && rooms.length > 0
    ? rooms.map((room, at) => ({ field: `rooms[${at}]`, value: room, allowed: "a text without @, not empty" }))
      .filter(({ value }) => !isRoom(value))
    : [{ field: "rooms", value: rooms, allowed: "an array of one room or more" }];
  if (problems.length > 0) throw new ConfigError("make the strategy machineRoom()", problems);
  return new Set(rooms);
}

/** The room in a broker's name, else nothing: there must be one `@`, not counting those at the end, as in Java. */
function roomOf(broker: string): string {
  const [room = "", name, ...more] = broker.replace(/@+$/, "").split("@");
  return name !== undefined && more.length === 0 ? room : "";
}
