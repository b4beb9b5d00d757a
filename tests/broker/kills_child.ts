/**
 * A consumer to be killed: it works for some time on each message, 50 at a time, and notes what it got and settled.
 *
 * Run it by `deno run kills_child.ts <name servers> <group> <log> <work>`. A line of the log is `+` for a message that is
 * delivered, or `-` for one that is done, its queue, its offset and the time.
 */

import { connect } from "../../mod.ts";
import { work } from "../behaviour/harness.ts";

const [nameServers = "", group = "", logPath = "", ms = "0"] = Deno.args;
const log = await Deno.open(logPath, { append: true, create: true });
const encoder = new TextEncoder();

const mq = await connect({ nameServers, logger: false });
const consumer = await mq.consumer({ group, topics: "orders", consumeFrom: "first" });
await consumer.runEach(async ({ queue, queueOffset }) => {
  note("+");
  if (ms !== "0") await work(Number(ms));
  note("-");

  function note(sign: string): void {
    log.writeSync(encoder.encode(`${sign} ${queue.queueId} ${queueOffset} ${Date.now()}\n`));
  }
}, { concurrency: 50 });
