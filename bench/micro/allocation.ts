/**
 * Allocation strategies in a large group: how long one member computes, and how many queues change hands when a member
 * joins or leaves. No broker, no sockets.
 *
 * Run it by `deno run -A bench/micro/allocation.ts [members] [queues]`, or by `deno bench -A` without arguments.
 *
 * @module
 */

import {
  type AllocationStrategy,
  average,
  averageByCircle,
  byConfig,
  consistentHash,
  machineRoom,
  machineRoomNearby,
} from "../../src/consumer/allocation/allocate.ts";
import { compareQueues, type MessageQueue } from "../../src/message.ts";
import { SeededRandom } from "../../tests/wire/seeded_random.ts";
import { cpus } from "node:os";

const [memberCount = 10_000, queueCount = 100_000] = Deno.args.map(Number);
const brokers = 100;
const rooms = 10;
/** How many joins, and how many leaves, are simulated. */
const events = 5;
/** How long shares may be computed for one event, in milliseconds: those of all members if that is enough. */
const budget = 500;

/** What a strategy came to; times in milliseconds. */
interface Result {
  /** The first computation: nothing is kept yet. */
  readonly first: number;
  /** The same once more, as at every interval. */
  readonly again: number;
  /** The first one after another member has joined. */
  readonly afterJoin: number;
  /** Queues with another owner than before, on average. */
  readonly movedByJoin: number;
  /** The same when a member leaves. */
  readonly movedByLeave: number;
  /** The largest share that was seen. */
  readonly largest: number;
  /** Of how many members the shares were computed for an event, beside the one that joins or leaves. */
  readonly seen: number;
}

/** A client id in a room: `10.3.1.2@77` is in room 3. */
function clientId(at: number): string {
  return `10.${at % rooms}.${(at >> 8) & 255}.${at & 255}@${1_000 + at * 7_919 % 30_000}`;
}

/** New objects each time, sorted as all members sort them; a broker in room 3 is `room3@broker-13`. */
function makeQueues(): MessageQueue[] {
  return Array.from({ length: queueCount }, (_, at) => {
    const broker = at % brokers;
    return { topic: "orders", broker: `room${broker % rooms}@broker-${broker}`, queueId: Math.floor(at / brokers) };
  }).sort(compareQueues);
}

const random = new SeededRandom(1);
const members = Array.from({ length: memberCount }, (_, at) => clientId(at)).sort();
const joining = Array.from({ length: events }, (_, at) => clientId(memberCount + 100 + at * 1_237));
/** From everywhere in the list, and from everywhere in a room. */
const leaving = Array.from({ length: events }, (_, at) => members[Math.floor((0.01 + at * 0.24) * memberCount)]!);
const resolver = {
  roomOfQueue: (queue: MessageQueue) => queue.broker.slice(0, queue.broker.indexOf("@")),
  roomOfClient: (id: string) => `room${id.split(".")[1]}`,
};

const strategies: readonly [label: string, make: () => AllocationStrategy][] = [
  ["average", average],
  ["averageByCircle", averageByCircle],
  ["consistentHash", consistentHash],
  ["machineRoom, half of them", () => machineRoom(["room0", "room1", "room2", "room3", "room4"])],
  ["nearby, average", () => machineRoomNearby({ resolver })],
  ["nearby, consistentHash", () => machineRoomNearby({ resolver, inner: consistentHash() })],
  ["byConfig, 10 queues", () => byConfig(makeQueues().slice(0, 10))],
];

function timed(run: () => void): number {
  const started = performance.now();
  run();
  return performance.now() - started;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Some of a list, drawn anew each time; all of it if it has not more. */
function someOf(list: readonly string[], count: number): readonly string[] {
  return count >= list.length ? list : Array.from({ length: count }, () => random.pick(list));
}

/** Gives the share of a member among others. */
type Share = (id: string, among: readonly string[]) => readonly MessageQueue[];

/**
 * How many queues have another owner in a list with a member than in the list without it, in either direction.
 *
 * Each of them is that member's, or another member has it in the first list only. Others are judged by some of them:
 * half in the same room, where most may happen.
 */
function moved(share: Share, one: string, list: readonly string[], count: number): number {
  const others = list.filter((id) => id !== one);
  const all = [...others, one].sort();
  const isNear = (id: string) => resolver.roomOfClient(id) === resolver.roomOfClient(one);
  const gains = [others.filter(isNear), others.filter((id) => !isNear(id))].map((part) =>
    part.length * mean(
      someOf(part, count / 2).map((id) => {
        const before = new Set(share(id, others));
        return share(id, all).filter((queue) => !before.has(queue)).length;
      }),
    )
  );
  return gains.reduce((sum, each) => sum + each, share(one, all).length);
}

function measure(make: () => AllocationStrategy): Result {
  const first = median([1, 2, 3].map(() => {
    const [strategy, queues] = [make(), makeQueues()];
    return timed(() => strategy.allocate({ group: "g", clientId: members[0]!, queues, members }));
  }));
  const [strategy, queues] = [make(), makeQueues()];
  const share: Share = (id, among) => strategy.allocate({ group: "g", clientId: id, queues, members: among });
  const again = median(Array.from({ length: 21 }, () => timed(() => share(members[0]!, members))));
  const afterJoin = median(joining.map((one) => {
    const all = [...members, one].sort();
    return timed(() => share(members[0]!, all));
  }));
  const seen = Math.min(2 * memberCount, Math.max(20, Math.floor(budget / 2 / again)));
  return {
    first,
    again,
    afterJoin,
    movedByJoin: mean(joining.map((one) => moved(share, one, members, seen))),
    movedByLeave: mean(leaving.map((one) => moved(share, one, members, seen))),
    largest: Math.max(...someOf(members, seen).map((id) => share(id, members).length)),
    seen: Math.min(seen, memberCount),
  };
}

function show(columns: readonly (string | number)[]): void {
  const [label = "", ...cells] = columns.map((each) => typeof each === "number" ? format(each) : each);
  console.log(label.padEnd(27) + cells.map((cell) => cell.padStart(12)).join(""));
}

function format(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 2 : 0 });
}

const { model } = cpus()[0] ?? { model: "unknown" };
console.log(`Deno ${Deno.version.deno}, ${cpus().length} × ${model}; ${memberCount} members, ${queueCount} queues`);
console.log(
  "ms for one member: at first, with the same lists again, after a join; queues that move; the largest share\n",
);
show(["", "first", "again", "after join", "join moves", "leave moves", "largest", "seen"]);
for (const [label, make] of strategies) {
  const { first, again, afterJoin, movedByJoin, movedByLeave, largest, seen } = measure(make);
  const about = (value: number) => `${seen < memberCount ? "≈ " : ""}${format(value)}`;
  show([label, first, again, afterJoin, about(movedByJoin), about(movedByLeave), largest, seen]);
}
