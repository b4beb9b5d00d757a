/**
 * A consumer that crashes often, on a real broker: it is killed 1 to 4 s after its start, again and again, at 20 ms a
 * message. Nothing is lost, and what is redelivered was in flight, or was settled just before.
 *
 * A few kills belong to every run; `KILLS=30` is the proof that the guarantees speak of.
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { denoTransport } from "../../src/transport/deno.ts";
import { startRocketMQ } from "../../tools/rocketmq/cluster.ts";
import { javaToolsMissing } from "../../tools/rocketmq/fetch.ts";
import { texts, waitUntil, work } from "../behaviour/harness.ts";
import { RawBroker } from "../behaviour/raw_broker.ts";
import { SeededRandom } from "../wire/seeded_random.ts";
import { type Line, Lives, parseLines } from "./lives.ts";

const KILLS = Number(Deno.env.get("KILLS") ?? 3);
const QUEUES = 8;
/** More than a life gets done, so that each of them has work. */
const PER_KILL = 8_000;
/** How long the work on a message takes, in milliseconds. */
const WORK = 20;
/** Settled messages that are redelivered were settled so short before a kill, in milliseconds; or so, on a busy machine. */
const [RECENT, MOST] = [200, 2_000];

const program = fromFileUrl(new URL("kills_child.ts", import.meta.url));
const missing = javaToolsMissing();
if (missing !== undefined) console.log(`a consumer that is killed: not run: ${missing}`);

Deno.test({
  name: `a consumer that is killed ${KILLS} times gets again what it had in flight and has just settled`,
  ignore: missing !== undefined && Deno.env.get("CI") === undefined,
  async fn() {
    await using cluster = await startRocketMQ({ version: "5.3.3" });
    const { nameServer, brokers } = cluster;
    const raw = new RawBroker(denoTransport, nameServer, brokers[0]!.address);
    const folder = await Deno.makeTempDir();
    const logOf = (life: number) => join(folder, `${life}.log`);
    const count = KILLS * PER_KILL;
    try {
      await raw.createTopic("orders", QUEUES);
      await raw.publish("orders", texts(count));
      const lives = new Lives(RECENT);
      const random = new SeededRandom(30);
      for (let life = 0; life < KILLS; life++) {
        const child = start(nameServer, logOf(life), WORK);
        await work(1_000 + random.below(3_000)); // how long it lives
        const killedAt = await kill(child);
        const { inFlight, recent, behind, older } = lives.add(await linesOf(logOf(life)), killedAt);
        const ages = older.length === 0 ? "" : `, up to ${Math.max(...older)} ms before the kill`;
        const again =
          `again: ${inFlight} in flight, ${recent} just settled, ${behind} behind them, ${older.length} others`;
        console.log(`life ${life}: ${lives.distinct} messages, ${lives.deliveries} times; ${again}${ages}`);
        assert(older.every((age) => age <= MOST), `settled ${Math.max(...older)} ms before a kill, and came again`);
      }
      console.log(`${KILLS} kills: ${lives.distinct} messages came ${lives.deliveries} times`);

      const last = start(nameServer, logOf(KILLS), 0);
      const all = async () => lives.distinctWith(await linesOf(logOf(KILLS))) === count;
      await waitUntil(all, { what: "every message comes", timeout: 120_000 }).finally(() => kill(last));
    } finally {
      await raw.close();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

function start(nameServers: string, log: string, ms: number): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program, nameServers, "billing", log, `${ms}`],
    stdout: "null",
    stderr: "inherit",
  }).spawn();
}

/** Kills a consumer, and gives when. */
async function kill(child: Deno.ChildProcess): Promise<number> {
  const at = Date.now();
  child.kill("SIGKILL");
  assertEquals((await child.status).signal, "SIGKILL");
  return at;
}

/** What a life has written so far; nothing if it has not come to it. */
async function linesOf(log: string): Promise<Line[]> {
  return parseLines(await Deno.readTextFile(log).catch(() => ""));
}
