/**
 * Which queues a member of a group takes: the door to `allocation/`. All members compute it alone, from the same two
 * lists.
 *
 * | strategy | shares | moves when a member joins or leaves |
 * |---|---|---|
 * | {@linkcode average} | even, neighbouring queues | about half of the queues |
 * | {@linkcode averageByCircle} | even, spread over brokers | nearly all |
 * | {@linkcode consistentHash} | uneven | that member's only |
 * | {@linkcode machineRoom} | even, in certain rooms only | about half |
 * | {@linkcode machineRoomNearby} | each room for itself | as within the room |
 * | {@linkcode byConfig} | as listed | none |
 *
 * How to write one: {@linkcode AllocationStrategy}.
 *
 * @module
 */

export { average } from "./average.ts";
export { averageByCircle } from "./average_by_circle.ts";
export { byConfig } from "./by_config.ts";
export { consistentHash, type ConsistentHashOptions } from "./consistent_hash.ts";
export { machineRoom } from "./machine_room.ts";
export { machineRoomNearby, type MachineRoomNearbyOptions, type RoomResolver } from "./machine_room_nearby.ts";
export { type AllocationContext, type AllocationStrategy, isAllocationStrategy } from "./strategy.ts";
