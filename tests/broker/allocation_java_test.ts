import { assert, assertEquals } from "@std/assert";
import {
  type AllocationStrategy,
  average,
  averageByCircle,
  byConfig,
  consistentHash,
  machineRoom,
  machineRoomNearby,
} from "../../src/consumer/allocation/allocate.ts";
import { ValidationError } from "../../src/errors.ts";
import { compareQueues, type MessageQueue } from "../../src/message.ts";
import { javaToolsMissing, ROCKETMQ_VERSIONS, type RocketMQVersion } from "../../tools/rocketmq/fetch.ts";
import { runJava } from "../../tools/rocketmq/java_program.ts";
import { SeededRandom } from "../wire/seeded_random.ts";

const missing = javaToolsMissing();
if (missing !== undefined) {
  if (Deno.env.get("CI")) throw new Error(`Cannot compare with Java's allocation: ${missing}`);
  console.log(`skipped: allocation compared with Java's: ${missing}`);
}

/** How many random groups are tried with each strategy. */
const CASES = 400;

const NAMES = [
  "AVG",
  "AVG_BY_CIRCLE",
  "CONSISTENT_HASH",
  "MACHINE_ROOM",
  "MACHINE_ROOM_NEARBY-AVG",
  "MACHINE_ROOM_NEARBY-AVG_BY_CIRCLE",
  "MACHINE_ROOM_NEARBY-CONSISTENT_HASH",
  "CONFIG",
] as const;

type Name = typeof NAMES[number];
type Row = [topic: string, broker: string, queueId: number];

/** What `Allocate.java` reads; neither list is sorted. */
interface Case {
  readonly strategy: Name;
  readonly queues: readonly Row[];
  readonly members: readonly string[];
  readonly virtualNodes?: number;
  readonly rooms: readonly string[];
  readonly configured: readonly Row[];
}

/** The places of each member's queues; a text if that is refused. */
type Result = number[][] | string;

/** Rooms; the last is nobody's in `MACHINE_ROOM`, and has no name in `MACHINE_ROOM_NEARBY`. */
const ROOMS = ["east", "west", "日本", ""];
/** Between room and name: both signs, so that each kind of room is found in some names. */
const SIGNS = ["-", "@", "-@", "@-", "@@", ""];
/** Ends of names, some of which sort differently by code points, by bytes or by locale. */
const ENDS = [
  "a",
  "B",
  "ä",
  "😀",
  "\ufffd",
  "queueId=3]",
  " x, y ",
  "@",
  "a@",
  "a@@",
  "a@b",
  "%",
  `"\\`,
  "\u0001",
  "10",
];

function randomCase(random: SeededRandom, strategy: Name): Case {
  const room = random.below(4) === 0 ? () => random.pick(ROOMS) : () => random.pick(ROOMS.slice(0, 3));
  const sign = random.below(4) === 0 ? () => random.pick(SIGNS) : () => random.pick(["-", "-@"]);
  const topic = random.pick(["orders", "%RETRY%billing", "a|b"]);
  const brokers = Array.from({ length: random.below(6) }, () => `${room()}${sign()}${random.pick(ENDS)}`);
  const queues = [...new Set(brokers)].flatMap((broker) =>
    Array.from({ length: 1 + random.below(12) }, (_, queueId): Row => [topic, broker, queueId])
  );
  const members = Array.from({ length: 1 + random.below(random.pick([3, 12, 40])) }, (_, i) => {
    return `${room()}${sign()}10.0.0.${i}@${random.pick(ENDS)}#${random.below(1e9)}`;
  });
  if (random.below(8) === 0) members.push(random.pick(members)); // connected twice
  return {
    strategy,
    queues: queues.map((row) => ({ row, at: random.below(1e9) })).sort((a, b) => a.at - b.at).map(({ row }) => row),
    members,
    ...(random.below(2) === 0 ? { virtualNodes: 1 + random.below(40) } : {}),
    rooms: ROOMS.slice(0, 1 + random.below(3)),
    configured: [...queues.filter(() => random.below(3) === 0), [topic, "gone", 7]],
  };
}

/** Two members with a point in the same place: MD5 of `10.0.0.1@4657-0` to `-9` begins like one of the other's ten. */
const COLLISIONS: readonly Case[] = [
  ["10.0.0.1@4657", "10.0.0.1@8833"],
  ["10.0.0.1@3551", "10.0.0.1@12898"],
  ["10.0.0.1@10848", "10.0.0.1@15734"],
].map((members) => ({
  strategy: "CONSISTENT_HASH",
  queues: Array.from({ length: 500 }, (_, queueId): Row => ["orders", "broker-a", queueId]),
  members,
  rooms: [],
  configured: [],
}));

function strategyOf(name: string, given: Case): AllocationStrategy {
  const nearby = "MACHINE_ROOM_NEARBY-";
  if (name.startsWith(nearby)) {
    const roomOf = (text: string) => text.slice(0, Math.max(0, text.indexOf("-")));
    const resolver = { roomOfQueue: (queue: MessageQueue) => roomOf(queue.broker), roomOfClient: roomOf };
    return machineRoomNearby({ resolver, inner: strategyOf(name.slice(nearby.length), given) });
  }
  if (name === "AVG") return average();
  if (name === "AVG_BY_CIRCLE") return averageByCircle();
  if (name === "MACHINE_ROOM") return machineRoom(given.rooms);
  if (name === "CONFIG") return byConfig(given.configured.map(queueOf));
  return consistentHash(given.virtualNodes === undefined ? {} : { virtualNodes: given.virtualNodes });
}

function queueOf([topic, broker, queueId]: Row): MessageQueue {
  return { topic, broker, queueId };
}

/** Allocates as a consumer does: both lists are sorted first. */
function ours(given: Case): Result {
  const queues = given.queues.map(queueOf).sort(compareQueues);
  const members = given.members.toSorted((a, b) => a < b ? -1 : a > b ? 1 : 0);
  const strategy = strategyOf(given.strategy, given);
  assertEquals(strategy.name, given.strategy);
  try {
    return members.map((clientId) =>
      strategy.allocate({ group: "group", clientId, queues, members }).map((queue) => queues.indexOf(queue))
    );
  } catch (error) {
    if (error instanceof ValidationError) return "IllegalArgumentException";
    throw error;
  }
}

/** What Java gives, as far as we want to give the same. */
function expected(given: Case, java: Result): Result {
  if (given.strategy === "CONFIG" && typeof java !== "string") { // also what is not there, in the order of the list
    return java.map((share) => share.filter((place) => place >= 0).sort((a, b) => a - b));
  }
  if (given.queues.length === 0) return given.members.map(() => []); // Java throws
  return java;
}

async function allocateInJava(version: RocketMQVersion, cases: readonly Case[]): Promise<Result[]> {
  const results = await runJava(version, "Allocate.java", cases.map((each) => JSON.stringify(each)));
  assertEquals(results.length, cases.length);
  return results.map((line) => line.startsWith("[") ? JSON.parse(line) : line);
}

Deno.test("groups that are compared with Java are of every kind", () => {
  const random = new SeededRandom(7);
  const cases = Array.from({ length: CASES }, () => randomCase(random, "AVG"));
  const kinds: Record<string, (given: Case) => boolean> = {
    "no queue": ({ queues }) => queues.length === 0,
    "more members than queues": ({ queues, members }) => queues.length > 0 && members.length > queues.length,
    "more queues than members": ({ queues, members }) => queues.length > members.length,
    "one member": ({ members }) => members.length === 1,
    "a member twice": ({ members }) => new Set(members).size < members.length,
    "surrogates": ({ members }) => members.some((member) => member.includes("😀")),
  };
  for (const [kind, isOf] of Object.entries(kinds)) assert(cases.filter(isOf).length >= 10, kind);
});

for (const version of ROCKETMQ_VERSIONS) {
  Deno.test({
    name: `allocation strategies agree with those of Java's client ${version}`,
    ignore: missing !== undefined,
    fn: async () => {
      const random = new SeededRandom(7);
      const drawn = NAMES.flatMap((name) => Array.from({ length: CASES }, () => randomCase(random, name)));
      const cases = [...drawn, ...COLLISIONS];
      const results = await allocateInJava(version, cases);
      for (const [at, given] of cases.entries()) {
        assertEquals(ours(given), expected(given, results[at]!), JSON.stringify(given));
      }
      for (const name of NAMES) { // otherwise nothing was compared
        const shared = results.filter((result, at) => cases[at]!.strategy === name && result.length > 1);
        assert(shared.filter((result) => result.toString().length > 3).length >= 100, name);
      }
    },
  });
}
