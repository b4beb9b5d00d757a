/**
 * A shop's orders are produced, and a group consumes them: first one member, then two that share the queues. One order
 * fails once and is redelivered, the broker is killed and recovers, one member leaves and the other takes its queues
 * over. In the end every order is accounted for.
 *
 *     deno run --allow-net examples/demo.ts                                # a broker inside this process
 *     deno run --allow-net examples/demo.ts --name-server localhost:9876   # a real cluster
 *
 * @module
 */

import { parseArgs } from "node:util";
import {
  type Client,
  connect,
  json,
  type Message,
  type MessageBatch,
  type Producer,
  RocketMQError,
} from "@denorocket/rocketmq";
import { EmbeddedBroker } from "@denorocket/rocketmq/embedded";

const ORDERS = 4_000;
const ORDERS_PER_SEND = 50;
/** Between two sends, in milliseconds: without it there would be nothing to watch. */
const PAUSE = 35;
/** The order that fails at the first attempt. */
const UNLUCKY = 1_000;
/** How long the broker of this process is unavailable, in milliseconds. */
const OUTAGE = 1_000;
/** How long the whole demo may take, in milliseconds. */
const LIMIT = 60_000;

/** The JSON of a message. */
interface Order {
  readonly id: number;
  readonly item: string;
}

/** What all parts of the demo share. */
interface Shop {
  readonly nameServer: string;
  readonly topic: string;
  readonly group: string;
  readonly ledger: Ledger;
  readonly screen: Screen;
  /** Aborts when every order is checked off, or it takes too long. */
  readonly closing: AbortSignal;
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({ args: Deno.args, options: { "name-server": { type: "string" } } });
  const nameServer = values["name-server"];
  if (nameServer !== undefined) return await runShop(nameServer); // its brokers are not ours to kill

  // Level 1 is a second on a real broker; here a failed order is redelivered sooner.
  await using broker = await EmbeddedBroker.start({ delayLevels: [200], offsetPersistInterval: 200 });
  return await runShop(broker.nameServer, broker);
}

/** Runs the whole demo; true if no order was lost. */
async function runShop(nameServer: string, broker?: EmbeddedBroker): Promise<boolean> {
  const started = performance.now();
  const [ledger, screen] = [new Ledger(), new Screen()];
  const run = crypto.randomUUID().slice(0, 8); // a topic and a group that were never used before
  const shop: Shop = {
    nameServer,
    topic: `demo-orders-${run}`,
    group: `demo-billing-${run}`,
    ledger,
    screen,
    closing: AbortSignal.any([ledger.complete, AbortSignal.timeout(LIMIT)]),
  };
  screen.say(`Name server ${nameServer}, topic ${shop.topic}, group ${shop.group}`);

  await using mq = await join(shop);
  await using producer = await mq.producer();
  await send(shop, producer, 1); // the first message creates the topic, where brokers allow it

  screen.watch(() => ledger.progress());
  try {
    await Promise.all([
      produce(shop, producer),
      consume(shop, "alice", () => false),
      produced(shop, ORDERS / 5).then(() => consume(shop, "bob", () => ledger.consumed.size >= ORDERS * 0.9)),
      broker && produced(shop, ORDERS * 0.65).then(() => fail(shop, broker)),
    ]);
  } finally {
    screen.unwatch();
  }
  const complete = summarize(ledger, performance.now() - started);
  screen.say(nextSteps(broker === undefined ? nameServer : undefined));
  return complete;
}

/** Resolves when this many orders are produced, or the shop closes. */
async function produced({ ledger, closing }: Shop, orders: number): Promise<void> {
  while (ledger.produced.size < orders && !closing.aborted) await sleep(10);
}

/** Kills the broker, and starts it again with the messages that it had. */
async function fail({ screen }: Shop, broker: EmbeddedBroker): Promise<void> {
  screen.say("the broker is killed");
  await broker.kill();
  await sleep(OUTAGE);
  await broker.revive();
  screen.say("the broker runs again");
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Sends the orders, some at a time. */
async function produce(shop: Shop, producer: Producer): Promise<void> {
  const { ledger, closing } = shop;
  while (ledger.produced.size < ORDERS && !closing.aborted) {
    await send(shop, producer, Math.min(ORDERS_PER_SEND, ORDERS - ledger.produced.size));
    await sleep(PAUSE);
  }
}

/** Sends the next orders in one request; they count as produced when a broker has stored them. */
async function send({ topic, ledger }: Shop, producer: Producer, count: number): Promise<void> {
  const first = ledger.produced.size + 1;
  const orders: Order[] = Array.from({ length: count }, (_, i) => ({ id: first + i, item: "a book" }));
  try {
    await producer.sendBatch(orders.map((order) => ({ topic, keys: `${order.id}`, body: json(order) })));
  } catch (error) {
    // The same orders are sent again by the next call. Some may be stored already: those become duplicates.
    if (ledger.produced.size === 0 || !(error instanceof RocketMQError)) throw error;
    return;
  }
  for (const { id } of orders) ledger.add(id);
}

/** One member of the group, with a client of its own: brokers identify members by client. */
async function consume(shop: Shop, name: string, leaves: () => boolean): Promise<void> {
  const { topic, group, ledger, screen, closing } = shop;
  await using mq = await join(shop);
  // A real broker may need a moment to register a new topic with its name server: the members wait for it.
  await using consumer = await mq.consumer<Order>({
    group,
    topics: topic,
    consumeFrom: "first",
    missingTopic: "wait",
    persistInterval: 1_000, // what is consumed but not stored when the broker is killed is redelivered
  });
  const member = ledger.enter(name, () => consumer.assignment().filter((queue) => queue.topic === topic).length);
  screen.say(`${name} joined the group`);

  for await (const batch of consumer.batches({ signal: closing })) {
    for (const message of batch) await bill(shop, member, batch, message);
    if (!leaves()) continue; // requesting the next batch acknowledges this one
    await batch.ack();
    screen.say(`${name} leaves after ${member.orders} orders`);
    break;
  }
  await consumer.close();
  member.queues = () => 0;
}

/** Handles one order: checks it off, or retries it later if it fails. */
async function bill(
  { ledger, screen }: Shop,
  member: Member,
  batch: MessageBatch<Order>,
  message: Message<Order>,
): Promise<void> {
  const { id } = message.json();
  if (id === UNLUCKY && message.reconsumeTimes === 0) {
    screen.say(`order ${id} fails at ${member.name}, it is retried later`);
    await batch.retry(message, { delayLevel: 1 });
    return;
  }
  if (message.reconsumeTimes > 0) screen.say(`order ${id} was redelivered, to ${member.name}`);
  ledger.checkOff(id, member, message.reconsumeTimes > 0);
}

/** Connects; later warnings are shown above the progress. */
async function join({ nameServer, screen }: Shop): Promise<Client> {
  // A new topic spreads over a cluster's brokers one by one: looking for its queues every second finds them soon.
  return await connect({ nameServers: nameServer, routeInterval: 1_000, logger: screen });
}

/** Prints what became of the orders, in words and in the last line. */
function summarize(ledger: Ledger, elapsed: number): boolean {
  const lost = ledger.produced.difference(ledger.consumed).size;
  const shares = ledger.members.map(({ name, orders }) => `${name} ${orders}`).join(", ");
  console.log(`
  produced    ${ledger.produced.size} orders
  consumed    ${ledger.consumed.size} orders: ${shares}
  duplicates  ${ledger.duplicates}${
    ledger.duplicates > 0 ? ", consumed and not committed yet when the broker was killed" : ""
  }
  redelivered ${ledger.redelivered} after a failure
  elapsed     ${(elapsed / 1_000).toFixed(1)} s

${ledger.produced.size} produced, ${ledger.consumed.size} consumed, ${lost} lost`);
  return lost === 0;
}

/** What to do next, once the demo has ended. */
function nextSteps(nameServer: string | undefined): string {
  const [flags, where] = ["--allow-net --allow-env=NAMESRV_ADDR", nameServer ? ` --name-server ${nameServer}` : ""];
  return [
    "",
    "Next:",
    ...(nameServer ? [] : ["  deno task broker                  # a broker on port 9876, until Ctrl-C"]),
    `  deno run ${flags} examples/consume.ts${where}`,
    `  deno run ${flags} examples/produce.ts${where}`,
    "  docs/getting-started.md           # your own program, with a real broker",
  ].join("\n");
}

/** A member as the ledger sees it. */
interface Member {
  readonly name: string;
  /** How many orders it has handled. */
  orders: number;
  /** How many queues of the topic it owns now. */
  queues: () => number;
}

/** Where every order is checked off. */
class Ledger {
  readonly produced: Set<number> = new Set();
  readonly consumed: Set<number> = new Set();
  readonly members: Member[] = [];
  duplicates = 0;
  redelivered = 0;
  #complete = new AbortController();

  /** Aborts when all orders are produced and consumed. */
  get complete(): AbortSignal {
    return this.#complete.signal;
  }

  enter(name: string, queues: () => number): Member {
    const member = { name, orders: 0, queues };
    this.members.push(member);
    return member;
  }

  add(id: number): void {
    this.produced.add(id);
    this.#check();
  }

  checkOff(id: number, member: Member, redelivered: boolean): void {
    if (this.consumed.has(id)) this.duplicates++;
    if (redelivered) this.redelivered++;
    this.consumed.add(id);
    member.orders++;
    this.#check();
  }

  #check(): void {
    if (this.produced.size === ORDERS && this.consumed.size === ORDERS) this.#complete.abort();
  }

  progress(): string {
    const members = this.members.map(({ name, orders, queues }) => ` | ${name} ${orders} (${queues()} queues)`);
    return `${this.produced.size} produced, ${this.consumed.size} consumed${members.join("")}`;
  }
}

/** Prints what happens; below it, progress is one line that is redrawn on a terminal, and a line now and then elsewhere. */
class Screen {
  #isTerminal = Deno.stdout.isTerminal();
  #encoder = new TextEncoder();
  #line = (): string => "";
  #timer: ReturnType<typeof setInterval> | undefined;

  watch(line: () => string): void {
    this.#line = line;
    this.#timer = setInterval(() => this.#isTerminal ? this.#draw(line()) : console.log(line()), this.#interval);
  }

  unwatch(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#isTerminal) this.#draw("");
    console.log(this.#line());
  }

  say(text: string): void {
    const redraws = this.#isTerminal && this.#timer !== undefined;
    if (redraws) this.#draw("");
    console.log(text);
    if (redraws) this.#draw(this.#line());
  }

  info(text: string): void {
    this.say(text);
  }

  warn(text: string): void {
    this.say(`warning: ${text}`);
  }

  error(text: string): void {
    this.say(`error: ${text}`);
  }

  get #interval(): number {
    return this.#isTerminal ? 50 : 250;
  }

  #draw(text: string): void {
    const columns = Deno.consoleSize().columns || 80;
    Deno.stdout.writeSync(this.#encoder.encode(`\r\x1b[K${text.slice(0, columns - 1)}`));
  }
}

try {
  Deno.exitCode = await main() ? 0 : 1;
} catch (error) {
  if (!(error instanceof RocketMQError)) throw error;
  console.error(error.message);
  Deno.exit(1);
}
