import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type AllocationStrategy,
  average,
  averageByCircle,
  byConfig,
  consistentHash,
  machineRoom,
  machineRoomNearby,
} from "../../../src/consumer/allocation/allocate.ts";
import { ConfigError, ValidationError } from "../../../src/errors.ts";
import { compareQueues, type MessageQueue, queueKey } from "../../../src/message.ts";
import { SeededRandom } from "../../wire/seeded_random.ts";
import { options } from "../fakes.ts";
import { fromJavaScript } from "../../untyped.ts";

/** What precedes the first dash is the room: of `east-broker-1` as of `east-10.0.0.7@42`. */
const roomOf = (name: string) => name.slice(0, Math.max(0, name.indexOf("-")));
const resolver = { roomOfQueue: (queue: MessageQueue) => roomOf(queue.broker), roomOfClient: roomOf };

/** Those that give every queue an owner, whatever the brokers' names. */
const complete: readonly (() => AllocationStrategy)[] = [
  average,
  averageByCircle,
  consistentHash,
  () => machineRoomNearby({ resolver }),
  () => machineRoomNearby({ resolver, inner: averageByCircle() }),
  () => machineRoomNearby({ resolver, inner: consistentHash() }),
];

/** Queues 0 to `count` − 1 of each broker. */
function queuesOf(count: number, ...brokers: string[]): MessageQueue[] {
  return brokers.flatMap((broker) => Array.from({ length: count }, (_, queueId) => ({ topic: "t", broker, queueId })));
}

/** The queues of each member by their places, in the order of the members. */
function places(strategy: AllocationStrategy, queues: readonly MessageQueue[], members: readonly string[]): number[][] {
  return members.map((clientId) =>
    strategy.allocate({ group: "g", clientId, queues, members }).map((queue) => queues.indexOf(queue))
  );
}

/** The owner of each queue. */
function owners(
  strategy: AllocationStrategy,
  queues: readonly MessageQueue[],
  members: readonly string[],
): Map<string, string> {
  const entries = members.flatMap((clientId) =>
    strategy.allocate({ group: "g", clientId, queues, members }).map((queue) => [queueKey(queue), clientId] as const)
  );
  assertEquals(new Set(entries.map(([key]) => key)).size, entries.length, "a queue has two owners");
  return new Map(entries);
}

/** Sorted queues and members as a group may have them, members in three rooms and brokers in four. */
function randomGroup(random: SeededRandom): { queues: MessageQueue[]; members: string[] } {
  const room = (limit: number) => random.pick(["east", "west", "north", "south"].slice(0, limit));
  const brokers = Array.from({ length: random.below(5) }, (_, i) => `${room(4)}-broker-${i}`);
  const members = Array.from({ length: 1 + random.below(20) }, (_, i) => `${room(3)}-10.0.0.${i}@${random.below(1e6)}`);
  return { queues: queuesOf(1 + random.below(12), ...brokers).sort(compareQueues), members: members.sort() };
}

function shuffled<T>(random: SeededRandom, values: readonly T[]): T[] {
  return values.map((value) => ({ value, at: random.below(1e9) })).sort((a, b) => a.at - b.at).map(({ value }) =>
    value
  );
}

Deno.test("allocation strategies are named as in Java", () => {
  const strategies = [...complete.map((make) => make()), machineRoom(["r"]), byConfig([])];
  assertEquals(strategies.map(({ name }) => name), [
    "AVG",
    "AVG_BY_CIRCLE",
    "CONSISTENT_HASH",
    "MACHINE_ROOM_NEARBY-AVG",
    "MACHINE_ROOM_NEARBY-AVG_BY_CIRCLE",
    "MACHINE_ROOM_NEARBY-CONSISTENT_HASH",
    "MACHINE_ROOM",
    "CONFIG",
  ]);
});

Deno.test("allocation strategies give every queue exactly one owner, and the same one to whoever computes it", () => {
  const random = new SeededRandom(1);
  for (let i = 0; i < 200; i++) {
    const { queues, members } = randomGroup(random);
    for (const make of complete) {
      const [strategy, another] = [make(), make()];
      const before = owners(strategy, queues, members);
      assertEquals(before.size, queues.length, strategy.name);
      const [sameQueues, sameMembers] = [shuffled(random, queues), shuffled(random, members)];
      assertEquals(owners(another, sameQueues.sort(compareQueues), sameMembers.sort()), before, strategy.name);
    }
  }
});

Deno.test("allocation strategies give nothing to who is no member, and where there is nothing", () => {
  const queues = queuesOf(2, "east-a");
  for (const strategy of [...complete.map((make) => make()), machineRoom(["r"])]) {
    const context = { group: "g", clientId: "east-1", queues, members: ["east-2", "west-1"] };
    assertEquals(strategy.allocate(context), [], strategy.name);
    assertEquals(strategy.allocate({ ...context, members: [] }), [], strategy.name);
    assertEquals(strategy.allocate({ ...context, queues: [], members: ["east-1", "west-1"] }), [], strategy.name);
  }
});

Deno.test("average() gives runs of neighbours, the longer ones first", () => {
  assertEquals(places(average(), queuesOf(8, "b"), ["x", "y", "z"]), [[0, 1, 2], [3, 4, 5], [6, 7]]);
  assertEquals(places(average(), queuesOf(2, "b"), ["x", "y", "z"]), [[0], [1], []]);
});

Deno.test("averageByCircle() deals queues around", () => {
  assertEquals(places(averageByCircle(), queuesOf(8, "b"), ["x", "y", "z"]), [[0, 3, 6], [1, 4, 7], [2, 5]]);
  assertEquals(places(averageByCircle(), queuesOf(2, "b"), ["x", "y", "z"]), [[0], [1], []]);
});

Deno.test("average() and averageByCircle() give shares that differ by one at most", () => {
  const random = new SeededRandom(2);
  for (let i = 0; i < 200; i++) {
    const { queues, members } = randomGroup(random);
    for (const strategy of [average(), averageByCircle()]) {
      const sizes = places(strategy, queues, members).map((share) => share.length);
      assert(Math.max(...sizes) - Math.min(...sizes) <= 1, `${strategy.name}: ${sizes}`);
    }
  }
});

Deno.test("consistentHash() gives what Java's client 5.3.3 gives", () => {
  const queues = queuesOf(4, "broker-a", "broker-b").map((queue) => ({ ...queue, topic: "orders" }));
  const members = ["10.0.0.1@7", "10.0.0.2@7", "10.0.0.3@7"];
  assertEquals(places(consistentHash(), queues, members), [[0, 2, 7], [6], [1, 3, 4, 5]]);
});

Deno.test("consistentHash() moves a queue only to who joined, and only from who left", () => {
  const random = new SeededRandom(3);
  const strategy = consistentHash({ virtualNodes: 5 }); // one for all lists: it keeps rings
  for (let i = 0; i < 200; i++) {
    const { queues, members } = randomGroup(random);
    const one = random.pick(members);
    const without = members.filter((member) => member !== one);
    const [alone, together] = [owners(strategy, queues, without), owners(strategy, queues, members)];
    for (const [key, owner] of together) assert(owner === one || alone.get(key) === owner || alone.size === 0, key);
  }
});

Deno.test("consistentHash() does not depend on the order of members, nor on what it was asked before", () => {
  const random = new SeededRandom(4);
  const strategy = consistentHash();
  const queues = queuesOf(8, "a", "b", "c");
  const lists = Array.from({ length: 10 }, () => randomGroup(random).members);
  const expected = lists.map((members) => owners(consistentHash(), queues, members));
  for (let i = 0; i < 100; i++) {
    const at = random.below(lists.length);
    assertEquals(owners(strategy, queues, shuffled(random, lists[at]!)), expected[at]);
  }
});

Deno.test("consistentHash() sees that a list it was given before has changed", () => {
  const queues = queuesOf(100, "b");
  const strategy = consistentHash();
  const members = ["x", "y"];
  const before = owners(strategy, queues, members);
  members[1] = "z";
  assertEquals(owners(strategy, queues, members), owners(consistentHash(), queues, ["x", "z"]));
  members[1] = "y";
  assertEquals(owners(strategy, queues, members), before);
});

Deno.test("consistentHash() takes 10 000 members and 100 000 queues", () => {
  const members = Array.from({ length: 10_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}@${i}`).sort();
  const queues = queuesOf(1_000, ...Array.from({ length: 100 }, (_, i) => `broker-${i}`));
  const strategy = consistentHash();
  const share = (clientId: string, among = members) =>
    strategy.allocate({ group: "g", clientId, queues, members: among }).length;
  const shares = members.slice(0, 20).map((clientId) => share(clientId));
  const sum = shares.reduce((a, b) => a + b);
  assert(sum > 100 && sum < 400, `${shares}`); // 200 if shares were even
  assertEquals(share(members[0]!, members.slice(0, 1)), queues.length);
});

Deno.test("consistentHash() refuses options that are not allowed", () => {
  for (const virtualNodes of [0, 1_001, 1.5, NaN, "10"]) {
    assertThrows(() => consistentHash({ virtualNodes: virtualNodes as number }), ConfigError, "from 1 to 1000");
  }
  assertThrows(
    () => consistentHash({ nodes: 3 } as object),
    ConfigError,
    `no option "nodes"; the option is virtualNodes`,
  );
  assertThrows(
    () => consistentHash(fromJavaScript(null)),
    ConfigError,
    "Cannot make the strategy consistentHash()",
  );
});

Deno.test("machineRoom() divides the queues of its rooms: runs of neighbours, then what is left over", () => {
  const queues = queuesOf(4, "r1@a", "r2@a", "r3@a");
  assertEquals(places(machineRoom(["r1", "r3"]), queues, ["x", "y", "z"]), [[0, 1, 10], [2, 3, 11], [8, 9]]);
  assertEquals(places(machineRoom(["r2"]), queues, ["x", "y", "z"]), [[4, 7], [5], [6]]);
  assertEquals(places(machineRoom(["r4"]), queues, ["x"]), [[]]);
});

Deno.test("machineRoom() reads a broker's name as Java does", () => {
  const inside = ["r@a", "r@a@", "r@a@@"];
  const outside = ["r", "r@", "@r", "@r@a", "r@@a", "r@a@b", "@", "", "a@r"];
  const queues = queuesOf(1, ...inside, ...outside);
  assertEquals(places(machineRoom(["r"]), queues, ["x"]), [[0, 1, 2]]);
});

Deno.test("machineRoom() refuses rooms that no broker could be in", () => {
  assertThrows(() => machineRoom([]), ConfigError, "rooms is an array, allowed is an array of one room or more");
  assertThrows(() => machineRoom(fromJavaScript("r1")), ConfigError, `rooms is "r1"`);
  const error = assertThrows(() => machineRoom(["", "r", "r@a", fromJavaScript(3)]), ConfigError);
  assertEquals(error.problems.map(({ field }) => field), ["rooms[0]", "rooms[2]", "rooms[3]"]);
});

Deno.test("machineRoomNearby() keeps queues in their room, and shares those of rooms without a member", () => {
  const queues = queuesOf(3, "east-a", "north-a", "west-a");
  const strategy = machineRoomNearby({ resolver });
  assertEquals(places(strategy, queues, ["east-1", "east-2", "west-1"]), [[0, 1, 3], [2, 4], [6, 7, 8, 5]]);
  assertEquals(places(strategy, queues, ["east-1", "south-1"]), [[0, 1, 2, 3, 4, 6, 7], [5, 8]]);
});

Deno.test("machineRoomNearby() asks its inner strategy about the queues of one room at a time", () => {
  const asked: [string[], readonly string[]][] = [];
  const inner: AllocationStrategy = {
    name: "OWN",
    allocate({ queues, members }) {
      asked.push([queues.map(({ broker }) => broker), members]);
      return queues;
    },
  };
  const queues = queuesOf(1, "west-a", "mid-a", "north-a", "west-b", "east-a");
  const members = ["west-1", "west-2", "north-1"];
  machineRoomNearby({ resolver, inner }).allocate({ group: "g", clientId: "west-2", queues, members });
  assertEquals(asked, [
    [["west-a", "west-b"], ["west-1", "west-2"]],
    [["east-a"], members],
    [["mid-a"], members],
  ]);
});

Deno.test("machineRoomNearby() refuses rooms without a name, also those of others", () => {
  const strategy = machineRoomNearby({ resolver });
  const context = { group: "g", clientId: "east-1", queues: queuesOf(1, "east-a"), members: ["east-1"] };
  assertThrows(
    () => strategy.allocate({ ...context, queues: queuesOf(1, "a") }),
    ValidationError,
    `Cannot divide queues by rooms: roomOfQueue(t@a@0) is "", allowed is a text, not empty`,
  );
  assertThrows(
    () => strategy.allocate({ ...context, members: ["east-1", "x"] }),
    ValidationError,
    `roomOfClient("x") is ""`,
  );
});

Deno.test("machineRoomNearby() refuses options that are not allowed", () => {
  const make = (given: unknown) => () => machineRoomNearby(given as Parameters<typeof machineRoomNearby>[0]);
  assertThrows(make({}), ConfigError, "resolver is undefined, allowed is an object with roomOfQueue and roomOfClient");
  assertThrows(make({ resolver: { roomOfQueue: roomOf } }), ConfigError, "resolver is an object");
  assertThrows(make({ resolver, inner: "average" }), ConfigError, `inner is "average"`);
  assertThrows(make({ resolver, rooms: [] }), ConfigError, `no option "rooms"; the options are resolver, inner`);
  assertThrows(make(undefined), ConfigError, "options is undefined");
});

Deno.test("byConfig() takes what is listed and there", () => {
  const queues = queuesOf(3, "a", "b");
  const listed = [...queuesOf(1, "b", "c"), ...queuesOf(2, "a"), { topic: "%RETRY%g", broker: "a", queueId: 0 }];
  assertEquals(places(byConfig(listed), queues, ["x"]), [[0, 1, 3]]);
  assertEquals(places(byConfig([]), queues, ["x"]), [[]]);
  const retries = [{ topic: "%RETRY%g", broker: "a", queueId: 0 }, { topic: "%RETRY%g", broker: "b", queueId: 0 }];
  assertEquals(places(byConfig(listed), retries, ["x"]), [[0]]);
});

Deno.test("byConfig() refuses what is no queue", () => {
  const make = (given: unknown) => () => byConfig(given as MessageQueue[]);
  assertThrows(make(undefined), ConfigError, "queues is undefined, allowed is an array of { topic, broker, queueId }");
  const queue = { topic: "t", broker: "b", queueId: 0 };
  const bad = [queue, { ...queue, queueId: -1 }, { ...queue, broker: "" }, { brokerName: "b" }, null, "t@b@0"];
  const error = assertThrows(make(bad), ConfigError);
  assertEquals(error.problems.map(({ field }) => field), [1, 2, 3, 4, 5].map((at) => `queues[${at}]`));
});

Deno.test("options of a consumer take a strategy, or the name of one that needs no arguments", () => {
  const nameOf = (allocation: unknown) => options({ allocation: allocation as AllocationStrategy }).allocation.name;
  const own = { name: "OWN", allocate: () => [] };
  const given = [undefined, "average", "averageByCircle", "consistentHash", machineRoom(["r"]), own];
  assertEquals(given.map(nameOf), ["AVG", "AVG", "AVG_BY_CIRCLE", "CONSISTENT_HASH", "MACHINE_ROOM", "OWN"]);
  const bad = ["AVG", "machineRoom", "toString", "", 3, null, average, {}, { allocate: () => [] }, { name: "x" }];
  for (const value of bad) assertThrows(() => nameOf(value), ConfigError, "allocation is ");
});
