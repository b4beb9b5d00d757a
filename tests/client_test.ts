import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { type Client, connect, type ConnectOptions } from "../mod.ts";
import { EmbeddedBroker } from "../src/embedded/mod.ts";
import { ConfigError, NameServerError, ProducerError, RocketMQError } from "../src/errors.ts";
import { FakeTransport } from "./cluster/fake_transport.ts";
import { ScriptedServer } from "./transport/scripted_server.ts";
import { eventually, isSettled, turns, Unheard } from "./transport/waiting.ts";
import { fromJavaScript } from "./untyped.ts";

const topics = { orders: { queues: 1 } };

/** A transport that reaches nobody, and an environment. */
class NoTransport extends FakeTransport {
  readonly asked: string[] = [];
  #environment: Record<string, string>;

  constructor(environment: Record<string, string> = {}) {
    super(() => Promise.reject(new TypeError("no network")));
    this.#environment = environment;
  }

  override environment(name: string): string | undefined {
    this.asked.push(name);
    return this.#environment[name];
  }
}

/** Which addresses are dialed for these options, in the order of the alphabet. */
async function dialed(options: ConnectOptions, environment?: Record<string, string>): Promise<string[]> {
  const transport = new NoTransport(environment);
  const connecting = connect({ ...options, transport, startTimeout: 0, logger: false });
  const error = await assertRejects(() => connecting, NameServerError);
  assertEquals(error.code, "NAME_SERVER_UNREACHABLE");
  return [...new Set(transport.dialed)].sort();
}

Deno.test("connect() takes addresses as a text, as several in a text, as an array", async () => {
  assertEquals(await dialed({ nameServers: "ns1:9876" }), ["ns1:9876"]);
  assertEquals(await dialed({ nameServers: " ns1:9876 ; ns2:9877;" }), ["ns1:9876", "ns2:9877"]);
  assertEquals(await dialed({ nameServers: "ns1:9876,ns2:9877" }), ["ns1:9876", "ns2:9877"]);
  assertEquals(await dialed({ nameServers: ["ns1:9876", "[::1]:9877"] }), ["::1:9877", "ns1:9876"]);
});

Deno.test("connect() without an address takes NAMESRV_ADDR of the environment, else the usual one", async () => {
  assertEquals(await dialed({}), ["127.0.0.1:9876"]);
  assertEquals(await dialed({}, { NAMESRV_ADDR: "ns1:9876;ns2:9876" }), ["ns1:9876", "ns2:9876"]);
  const transport = new NoTransport({ NAMESRV_ADDR: "ns1:9876" });
  await assertRejects(() => connect({ transport, startTimeout: 0, nameServers: "ns3:1" }), NameServerError);
  assertEquals([transport.asked, transport.dialed], [[], ["ns3:1"]]);
});

Deno.test("connect() names every problem of its options in one error", async () => {
  const options = {
    nameServers: "nowhere",
    startTimeout: -1,
    requestTimeout: 99,
    heartbeatInterval: 999.5,
    routeInterval: "30s",
    namserver: "x",
    more: 1,
  };
  const error = await assertRejects(() => connect(fromJavaScript(options)), ConfigError, "Cannot connect: ");
  assertEquals([error.code, error.retriable], ["INVALID_OPTIONS", false]);
  assertEquals(error.problems.map(({ field }) => field).sort(), [
    "heartbeatInterval",
    "more",
    "nameServers",
    "namserver",
    "requestTimeout",
    "routeInterval",
    "startTimeout",
  ]);
  for (const { field, allowed, problem = `${field} is ` } of error.problems) {
    assert(error.message.includes(problem) && allowed !== "");
  }
  const unknown = error.problems.find(({ field }) => field === "namserver")!;
  assert(unknown.allowed.includes("nameServers"), unknown.allowed);
});

Deno.test("connect() refuses values that are out of range, and takes those at its ends", async () => {
  const ranges: [keyof ConnectOptions, number, number][] = [
    ["startTimeout", 0, 600_000],
    ["requestTimeout", 100, 600_000],
    ["heartbeatInterval", 1_000, 60_000],
    ["routeInterval", 1_000, 60_000],
  ];
  for (const [name, min, max] of ranges) {
    for (const value of [min - 1, max + 1, NaN, Infinity, "5", null]) {
      const error = await assertRejects(() => connect({ [name]: value, nameServers: "a:1" }), ConfigError);
      assertEquals(error.problems.map(({ field, value }) => [field, value]), [[name, value]]);
    }
    const stop = AbortSignal.abort(new RangeError("enough"));
    for (const value of [min, max, undefined]) {
      const options = { [name]: value, nameServers: "a:1", transport: new NoTransport(), signal: stop };
      await assertRejects(() => connect(options), RangeError, "enough");
    }
  }
});

Deno.test("connect() refuses addresses that are none, and options that are no object", async () => {
  const bad = [
    "",
    ";",
    "a",
    "a:0",
    "a:65536",
    "http://a:9876",
    "a:1;b",
    ["a:1", "b"],
    [],
    [""],
    [5],
    ["a:1;b:2"],
    5,
    {},
  ];
  for (const nameServers of bad) {
    const options: ConnectOptions = fromJavaScript({ nameServers });
    const error = await assertRejects(() => connect(options), ConfigError, undefined, JSON.stringify(nameServers));
    assertEquals(error.problems.map(({ field }) => field), ["nameServers"]);
  }
  await assertRejects(() => connect("nowhere"), ConfigError, 'nameServers is "nowhere"');
  for (const options of [null, 5, ["a:1"], true]) {
    await assertRejects(() => connect(fromJavaScript(options)), ConfigError, "allowed is an object with");
  }
});

Deno.test("connect() tells what is wrong with the other side", async () => {
  await using wrong = new ScriptedServer((asked, peer) => peer.answer(asked, { code: 3 }));
  const error = await assertRejects(() => connect(wrong.address), NameServerError, wrong.address);
  assertEquals(error.code, "NOT_A_NAME_SERVER");
  await using silent = new ScriptedServer();
  const options = { nameServers: silent.address, startTimeout: 200 };
  assertEquals((await assertRejects(() => connect(options), NameServerError)).code, "NAME_SERVER_UNREACHABLE");
  await Promise.all([wrong.untilOpen(0), silent.untilOpen(0)]);
});

Deno.test("connect() gives up when its signal aborts, and leaves nothing open", async () => {
  using unheard = new Unheard();
  await using silent = new ScriptedServer();
  const reason = { why: "stop" };
  const before = connect({ nameServers: silent.address, signal: AbortSignal.abort(reason) });
  assertStrictEquals(await before.catch((error) => error), reason);
  const stop = new AbortController();
  const connecting = connect({ nameServers: silent.address, signal: stop.signal });
  await silent.untilRequests(1);
  stop.abort(reason);
  assertStrictEquals(await connecting.catch((error) => error), reason);
  await silent.untilOpen(0);
  await turns();
  assertEquals([silent.peers.length, unheard.reasons], [1, []]);
});

Deno.test("a signal that aborts after connect() has resolved does nothing", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  const stop = new AbortController();
  await using mq = await connect({ nameServers: broker.nameServer, signal: stop.signal });
  stop.abort(new RangeError("too late"));
  await using producer = await mq.producer();
  assertEquals((await producer.send({ topic: "orders", body: "x" })).queueOffset, 0);
});

Deno.test("a client has an id of its own, and one socket per server for all it makes", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  const transport = new FakeTransport();
  await using mq = await connect({ nameServers: broker.nameServer, transport });
  await using other = await connect(broker.nameServer);
  assertMatch(mq.clientId, /^127\.0\.0\.1@[0-9a-f]{16}$/);
  assert(mq.clientId !== other.clientId);
  const producers = await Promise.all([1, 2, 3].map(() => mq.producer()));
  await Promise.all(producers.map((producer) => producer.send({ topic: "orders", body: "x" })));
  const consumers = await Promise.all(["a", "b"].map((group) => mq.consumer({ group, topics: "orders" })));
  assertEquals(consumers.length, 2);
  assertEquals(transport.open, 2); // the name server's and the broker's, which are one port here
  assertEquals([broker.members("a"), broker.members("b")], [[mq.clientId], [mq.clientId]]);
});

Deno.test("status() tells what happens, from its call on, until the client closes", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  const mq = await connect(broker.nameServer);
  const told: string[] = [];
  const reading = (async () => {
    for await (const { type, text } of mq.status()) told.push(`${type}: ${text}`);
  })();
  const producer = await mq.producer();
  await producer.send({ topic: "orders", body: "x" });
  await broker.restart();
  await eventually(() => told.length >= 2, "the lost connection is told");
  await producer.send({ topic: "orders", body: "y" });
  await mq.close();
  await reading;
  const at = `broker ${broker.brokerName} at ${broker.nameServer}`;
  assertEquals(told[0], `connected: connected to ${at}`);
  assert(told[1]!.startsWith(`disconnected: lost ${at}: `), told[1]);
  assert(told.includes(`connected: connected to ${at} again`), told.join("\n"));
});

Deno.test("close() closes consumers and producers, then all sockets", async () => {
  using unheard = new Unheard();
  await using broker = await EmbeddedBroker.start({ topics });
  const transport = new FakeTransport();
  const mq = await connect({ nameServers: broker.nameServer, transport });
  const producer = await mq.producer();
  const consumer = await mq.consumer({ group: "billing", topics: "orders", consumeFrom: "first" });
  await producer.send({ topic: "orders", body: "x" });
  const seen: string[] = [];
  const loop = (async () => {
    for await (const batch of consumer) {
      for (const message of batch) seen.push(message.text());
    }
  })();
  await eventually(() => seen.length === 1, "the message");
  await mq.close();
  await loop;
  assertEquals([broker.committed("billing", "orders"), broker.members("billing"), transport.open], [1, [], 0]);
  await eventually(() => broker.connections === 0, "no connection");
  const error = await assertRejects(() => producer.send({ topic: "orders", body: "x" }), ProducerError);
  assertEquals([error.code, broker.maxOffset("orders", 0), unheard.reasons], ["PRODUCER_CLOSED", 1, []]);
  await assertRejects(() => consumer.drain(), RocketMQError);
});

Deno.test("close() waits for a send that is on its way", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  const mq = await connect(broker.nameServer);
  const producer = await mq.producer();
  const fault = broker.faults.answer("SendMessage", "delayAnswer");
  const sent = producer.send({ topic: "orders", body: "x" });
  await fault.reached();
  const closed = mq.close();
  assertEquals(await isSettled(closed), false);
  fault.release();
  assertEquals((await sent).queueOffset, 0);
  await closed;
});

Deno.test("a client that is closed can be closed again, and makes nothing more", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  const mq = await connect(broker.nameServer);
  await Promise.all([mq.close(), mq.close()]);
  await mq.close();
  const uses: ((client: Client) => Promise<unknown>)[] = [
    (client) => client.producer(),
    (client) => client.consumer({ group: "billing", topics: "orders" }),
  ];
  for (const use of uses) {
    const error = await assertRejects(() => use(mq), RocketMQError, "closed");
    assertEquals(error.code, "CLIENT_CLOSED");
  }
  assertEquals(await mq.status().next(), { done: true, value: undefined });
  await eventually(() => broker.connections === 0, "no connection");
  assertEquals(broker.members("billing"), []);
});

Deno.test("a consumer that is joining while the client closes is refused, and leaves nothing", async () => {
  using unheard = new Unheard();
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 }, payments: { queues: 1 } } });
  const transport = new FakeTransport();
  const mq = await connect({ nameServers: broker.nameServer, transport, logger: false });
  const producer = await mq.producer();
  const route = broker.faults.answer("GetRoute", "delay", { match: ({ fields }) => fields["topic"] === "payments" });
  const send = broker.faults.answer("SendMessage", "delayAnswer");
  const sent = producer.send({ topic: "orders", body: "x" }); // makes closing take a while
  await send.reached();
  const joining = mq.consumer({ group: "billing", topics: "payments" }).then(() => "joined", (error) => error);
  await route.reached();
  const closed = mq.close();
  route.release();
  const outcome = await joining;
  send.release();
  await Promise.all([sent, closed]);
  assertInstanceOf(outcome, RocketMQError);
  assertMatch(outcome.code, /^(CLIENT|CONSUMER)_CLOSED$/);
  assertEquals([broker.members("billing"), transport.open], [[], 0]);
  await turns();
  assertEquals(unheard.reasons, []);
});

Deno.test("`await using` closes a client", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  {
    await using mq = await connect(broker.nameServer);
    await mq.consumer({ group: "billing", topics: "orders" });
    assertEquals(broker.members("billing"), [mq.clientId]);
  }
  assertEquals(broker.members("billing"), []);
});

/** What a program printed, and how it ended. */
interface Run {
  readonly code: number;
  readonly output: string;
}

/** Where a program is run: without an input, or in a terminal, where Deno would ask for permissions. */
type Place = "closed input" | "terminal";

/** Runs a command in a terminal of its own, which is taken away when the program asks for something. */
const INSIDE_TERMINAL = `
const options = { args: ["-qec", Deno.args[0], "/dev/null"], stdin: "null", stdout: "piped", stderr: "null" };
const script = new Deno.Command("script", options).spawn();
const alarm = setTimeout(() => script.kill("SIGKILL"), 60_000);
let output = "";
for await (const text of script.stdout.pipeThrough(new TextDecoderStream())) {
  output += text;
  if (output.includes("Deno requests")) script.kill("SIGKILL");
}
const { code } = await script.status;
clearTimeout(alarm);
await Deno.stdout.write(new TextEncoder().encode(output));
Deno.exit(code);`;

/** Runs a program with some permissions; ends it if it takes too long, as one does that waits for an answer. */
async function run(place: Place, program: string, permissions: string[], env: Record<string, string>): Promise<Run> {
  const folder = await Deno.makeTempDir();
  try {
    const [file, inside] = [`${folder}/program.ts`, `${folder}/terminal.ts`];
    await Deno.writeTextFile(file, program);
    await Deno.writeTextFile(inside, INSIDE_TERMINAL);
    const config = fromFileUrl(new URL("../deno.json", import.meta.url));
    const args = ["run", "--no-check", "--config", config, ...permissions, file];
    const quoted = [Deno.execPath(), ...args].map((arg) => `'${arg}'`).join(" ");
    const child = new Deno.Command(Deno.execPath(), {
      args: place === "terminal" ? ["run", "--allow-run=script", inside, quoted] : args,
      env: { ...env, NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const alarm = setTimeout(() => child.kill("SIGKILL"), 90_000);
    const { code, stdout, stderr } = await child.output();
    clearTimeout(alarm);
    const decoder = new TextDecoder();
    return { code, output: (decoder.decode(stdout) + decoder.decode(stderr)).replaceAll("\r\n", "\n") };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Whether this machine has util-linux's `script`, which makes a terminal. */
async function hasTerminal(): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  const { code, output } = await run("terminal", `console.log(Deno.stdin.isTerminal());`, [], {});
  return code === 0 && output === "true\n";
}

/** A whole life of a client, whose connections all go to the embedded broker. */
function programFor(port: number): string {
  return `
import { connect } from "${new URL("../mod.ts", import.meta.url)}";
import { denoTransport } from "${new URL("../src/transport/deno.ts", import.meta.url)}";
const dialed = new Set();
const transport = {
  ...denoTransport,
  connect(host, port, options) {
    dialed.add(host + ":" + port);
    return denoTransport.connect("127.0.0.1", ${port}, options);
  },
};
const mq = await connect({ transport });
console.log("dialed", ...dialed);
const producer = await mq.producer();
await producer.send({ topic: "orders", body: "hello" });
const consumer = await mq.consumer({ group: "billing", topics: "orders", consumeFrom: "first" });
for await (const batch of consumer) {
  console.log("received", batch.messages[0].text());
  break;
}
await mq.close();
const direct = await connect("127.0.0.1:${port}");
await direct.close();
console.log("done");`;
}

const places: Place[] = await hasTerminal() ? ["closed input", "terminal"] : ["closed input"];

for (const place of places) {
  Deno.test(`with --allow-net alone a program on a ${place} runs without being asked for more`, async () => {
    await using broker = await EmbeddedBroker.start({ topics });
    const program = programFor(Number(broker.nameServer.split(":")[1]));
    const env = { NAMESRV_ADDR: "ns.example:1234" };
    const { code, output } = await run(place, program, ["--allow-net"], env);
    assertEquals([code, output], [0, "dialed 127.0.0.1:9876\nreceived hello\ndone\n"]);
  });

  Deno.test(`NAMESRV_ADDR is used on a ${place} where it may be read`, async () => {
    await using broker = await EmbeddedBroker.start({ topics });
    const program = programFor(Number(broker.nameServer.split(":")[1]));
    const env = { NAMESRV_ADDR: "ns.example:1234" };
    for (const permissions of [["--allow-net", "--allow-env=NAMESRV_ADDR"], ["--allow-net", "--allow-env"], ["-A"]]) {
      const { code, output } = await run(place, program, permissions, env);
      assertEquals([code, output], [0, "dialed ns.example:1234\nreceived hello\ndone\n"]);
    }
    const { output } = await run(place, program, ["--allow-net", "--allow-env=HOME"], env);
    assertEquals(output, "dialed 127.0.0.1:9876\nreceived hello\ndone\n");
  });
}

Deno.test({
  name: "a program in a terminal that needs more permissions is seen to be asked for them",
  ignore: !places.includes("terminal"),
  fn: async () => {
    const { output } = await run("terminal", `console.log(Deno.env.get("HOME"));`, [], {});
    assert(output.includes("Deno requests"), output);
  },
});

Deno.test("a program ends by itself when its client has closed", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  const program = `
    import { connect } from "${new URL("../mod.ts", import.meta.url)}";
    const mq = await connect({ nameServers: "${broker.nameServer}", requestTimeout: 600_000 });
    await (await mq.producer()).send({ topic: "orders", body: "x" });
    const started = performance.now();
    globalThis.addEventListener("unload", () => console.log(performance.now() - started < 10_000));
    await mq.close();`;
  const { code, output } = await run("closed input", program, ["--allow-net"], {});
  assertEquals([code, output], [0, "true\n"]);
});

Deno.test("connect() checks tls, mapAddress, logger, transport and signal too", async () => {
  const bad: Record<string, unknown>[] = [
    { tls: "yes" },
    { tls: null },
    { tls: { verify: "no" } },
    { tls: { serverName: 5 } },
    { tls: { caCerts: "-----BEGIN" } },
    { tls: { verfiy: false } },
    { mapAddress: "a:1" },
    { logger: {} },
    { logger: true },
    { logger: { warn: console.warn } },
    { transport: {} },
    { transport: "node" },
    { signal: {} },
    { signal: "stop" },
  ];
  using unheard = new Unheard();
  const accepted: string[] = [];
  for (const options of bad) {
    const given = { nameServers: "a:1", startTimeout: 0, transport: new NoTransport(), ...options };
    const outcome = await connect(fromJavaScript(given)).catch((error) => error);
    const [name] = Object.keys(options);
    if (!(outcome instanceof ConfigError) || !outcome.problems.every(({ field }) => field.startsWith(name!))) {
      accepted.push(`${JSON.stringify(options)}: ${outcome.name} ${outcome.code ?? outcome.message}`);
    }
  }
  await turns();
  assertEquals([accepted, unheard.reasons], [[], []]);
});

Deno.test("an empty NAMESRV_ADDR is as good as none", async () => {
  assertEquals(await dialed({}, { NAMESRV_ADDR: "" }), ["127.0.0.1:9876"]);
});

Deno.test("an error about NAMESRV_ADDR says where the address came from", async () => {
  const transport = new NoTransport({ NAMESRV_ADDR: "http://ns1:9876" });
  const error = await assertRejects(() => connect({ transport }), ConfigError);
  assert(error.message.includes("NAMESRV_ADDR"), error.message);
});

Deno.test("a startTimeout of 0 tries each name server once", async () => {
  await using broker = await EmbeddedBroker.start();
  const nameServers = await Promise.all(
    [1, 2, 3, 4, 5].map(() =>
      connect({ nameServers: broker.nameServer, startTimeout: 0 }).then((mq) => mq.close(), (error) => error.code)
    ),
  );
  assertEquals(nameServers, Array(5).fill(undefined));
});

Deno.test("close() right after consumer() logs nothing: what it ends itself is no fault", async () => {
  await using broker = await EmbeddedBroker.start({ topics });
  const logged: string[] = [];
  const log = (text: string) => void logged.push(text);
  for (let i = 0; i < 5; i++) {
    const mq = await connect({ nameServers: broker.nameServer, logger: { warn: log, error: log } });
    await mq.consumer({ group: `billing-${i}`, topics: "orders", consumeFrom: "first" });
    await mq.close();
  }
  await turns();
  assertEquals(logged, []);
});

Deno.test("connect() takes no null for an address", async () => {
  const options = { nameServers: null, transport: new NoTransport(), startTimeout: 0 };
  const error = await assertRejects(() => connect(fromJavaScript(options)), ConfigError);
  assertEquals(error.problems.map(({ field, value }) => [field, value]), [["nameServers", null]]);
});
