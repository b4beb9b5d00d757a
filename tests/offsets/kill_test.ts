import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { SeededRandom } from "../wire/seeded_random.ts";
import { Place } from "./stores.ts";

const QUEUES = 3;
/** The most numbers that a program works on before it is killed. */
const MAX_WORK = 100;

const program = fromFileUrl(new URL("kill_child.ts", import.meta.url));

testKills("kv", 8, 25);
testKills("file", 4, 12);

/** Registers the test of a kind: so many programs that share a place, each killed so often. */
function testKills(kind: "kv" | "file", instances: number, rounds: number): void {
  const name = kind === "kv" ? "KvOffsetStore" : "FileOffsetStore";
  const what = `loses and skips nothing when programs that share a place are killed ${instances * rounds} times`;
  Deno.test(`${name} ${what}`, async () => {
    await using place = await Place.make();
    const kv = await Deno.openKv(place.kvPath);
    try {
      const lives = Array.from({ length: instances }, (_, at) => {
        const instance = `instance-${at}`;
        const read = kind === "kv" ? () => storedInKv(kv, instance) : () => storedInFile(place, instance);
        return live(kind, place, instance, rounds, read);
      });
      await Promise.allSettled(lives); // no program outlives the test
      const stored = (await Promise.all(lives)).flat().reduce((sum, offset) => sum + offset, 0);
      assert(stored > rounds * instances, `the programs came to ${stored} only`);
    } finally {
      kv.close();
    }
  });
}

/** Starts a program again and again, kills it somewhere, and looks at what it has stored. */
async function live(
  kind: "kv" | "file",
  place: Place,
  instance: string,
  rounds: number,
  read: () => Promise<number[]>,
): Promise<readonly number[]> {
  const random = new SeededRandom(instance.charCodeAt(instance.length - 1));
  const log = join(place.folder, `${instance}.log`);
  const path = kind === "kv" ? place.kvPath : place.folder;
  let before: readonly number[] = new Array<number>(QUEUES).fill(0);
  for (let round = 0; round < rounds; round++) {
    await runAndKill([kind, path, instance, log], random.below(MAX_WORK));
    const stored = await read();
    const worked = await workIn(log);
    for (const [at, offset] of stored.entries()) {
      const where = `${instance}, queue ${at}, round ${round}: stored ${offset}`;
      const numbers = worked[at]!;
      assert(offset >= before[at]!, `${where}, before ${before[at]}`);
      assert(offset <= numbers.size, `${where}, worked on ${numbers.size} only`);
      assertEquals(Math.max(-1, ...numbers), numbers.size - 1, `${where}, a number was skipped`);
    }
    before = stored;
  }
  return before;
}

/** Runs the program until it has worked on so many numbers; 0 is before it has done anything. */
async function runAndKill(args: string[], work: number): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--unstable-kv", "--allow-read", "--allow-write", program, ...args],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const complaint = new Response(child.stderr).text();
  const output = child.stdout.getReader();
  for (let done = 0; done < work;) {
    const { value } = await output.read();
    if (value === undefined) break;
    done += value.length / 2; // a sign and the end of its line
  }
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended by itself, which shows in what it complained about.
  }
  await output.cancel();
  await child.status;
  assertEquals(await complaint, "");
}

async function storedInKv(kv: Deno.Kv, instance: string): Promise<number[]> {
  const queues = Array.from({ length: QUEUES }, (_, queueId) => queueId);
  const entries = await kv.getMany<{ offset: number }[]>(
    queues.map((queueId) => ["rocketmq", "billing", instance, "orders", "b", queueId]),
  );
  return entries.map(({ value }) => value?.offset ?? 0);
}

async function storedInFile(place: Place, instance: string): Promise<number[]> {
  const text = await Deno.readTextFile(join(place.folder, "billing", `${instance}.json`)).catch(() => undefined);
  const stored = new Array<number>(QUEUES).fill(0);
  for (const { queueId, offset } of JSON.parse(text ?? '{ "offsets": [] }').offsets) stored[queueId] = offset;
  return stored;
}

/** The numbers that were worked on, by queue; a last line that was cut off was not. */
async function workIn(log: string): Promise<Set<number>[]> {
  const worked = Array.from({ length: QUEUES }, () => new Set<number>());
  const text = await Deno.readTextFile(log).catch(() => "");
  for (const line of text.split("\n").slice(0, -1)) {
    const [queue, number] = line.split(" ").map(Number);
    worked[queue!]!.add(number!);
  }
  return worked;
}
