/** What a user reads who has the wrong address, certificate, port or permission: the cause, and what to do. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError, connect, NameServerError, type StatusEvent } from "../mod.ts";
import { EmbeddedBroker } from "../src/embedded/mod.ts";
import { denoTransport } from "../src/transport/deno.ts";
import { nodeTransport } from "../src/transport/node.ts";
import { routeOver, ScriptedNameServer } from "./cluster/scripted_cluster.ts";
import type { TlsOptions } from "../src/transport/transport.ts";
import { authority, TlsServer } from "./transport/certificate.ts";
import { FakeTransport } from "./cluster/fake_transport.ts";
import { deadAddress, ScriptedServer } from "./transport/scripted_server.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** What answers, by the bytes of its first answer. */
const peers: Record<string, [answer: Uint8Array, says: string]> = {
  "an HTTP server": [bytes("HTTP/1.1 400 Bad Request\r\n\r\n"), "it speaks HTTP"],
  "the gRPC port of a proxy": [
    Uint8Array.of(0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100),
    "it speaks HTTP/2, as the gRPC port of a RocketMQ proxy does (8081)",
  ],
  "a port that requires TLS": [Uint8Array.of(0x15, 3, 3, 0, 2, 2, 70), "it requires TLS, set tls"],
  "an SSH server": [bytes("SSH-2.0-OpenSSH_9.6\r\n"), 'it begins with "SSH-2.0'],
};

/** What is wrong with `tls`, and what a user reads about it. */
const certificates: Record<string, [tls: TlsOptions, says: string]> = {
  "a certificate that is not trusted": [
    {},
    "the server's certificate is not trusted; give its authority as tls.caCerts",
  ],
  "a certificate for another name": [{ caCerts: [authority] }, "for another name; set tls.serverName"],
};

for (const [name, transport] of [["Deno", denoTransport], ["Node", nodeTransport]] as const) {
  Deno.test(`connect() over sockets of ${name}: a refused port is named with its cause, after startTimeout`, async () => {
    const nameServers = deadAddress();
    const options = { nameServers, transport, startTimeout: 300 };
    const error = await assertRejects(() => connect(options), NameServerError);
    assert(error.message.includes(nameServers), error.message);
    assert(error.message.includes("the connection was refused: nothing listens there"), error.message);
    assert(!/\d\.\d+ ms/.test(error.message), error.message);
    assertEquals([error.code, error.retriable], ["NAME_SERVER_UNREACHABLE", true]);
  });

  Deno.test(`connect() over sockets of ${name}: a host that does not exist is refused at once`, async () => {
    const started = performance.now();
    const options = { nameServers: "no-such-host.invalid:9876", transport, startTimeout: 60_000 };
    const error = await assertRejects(() => connect(options), NameServerError);
    assert(error.message.includes("there is no host of this name"), error.message);
    assert(performance.now() - started < 30_000);
    assertEquals(error.retriable, false);
  });

  for (const [what, [tls, says]] of Object.entries(certificates)) {
    Deno.test(`connect() over sockets of ${name}: ${what} is refused at once`, async () => {
      await using server = new TlsServer();
      const options = { nameServers: server.address, transport, tls, startTimeout: 60_000 };
      const error = await assertRejects(() => connect(options), NameServerError);
      assert(error.message.includes(says), error.message);
      assert(error.message.includes(server.address), error.message);
      assertEquals(error.retriable, false);
    });
  }

  Deno.test(`connect() over sockets of ${name}: TLS to a port without it is refused at once`, async () => {
    await using server = new ScriptedServer(undefined, {
      reads: false,
      onAccept: (peer) => peer.send(bytes("HTTP/1.1 400 Bad Request\r\n\r\n")),
    });
    const options = { nameServers: server.address, transport, tls: {}, startTimeout: 60_000 };
    const error = await assertRejects(() => connect(options), NameServerError);
    assert(error.message.includes("the server does not speak TLS; leave tls out"), error.message);
  });
}

Deno.test("connect() where packets vanish names the address, the time, the attempts and what to check", async () => {
  const transport = new FakeTransport((_host, _port, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
  );
  const nameServers = "10.255.255.1:9876";
  const options = { nameServers, transport, startTimeout: 1_000, requestTimeout: 100 };
  const error = await assertRejects(() => connect(options), NameServerError);
  const words =
    /Cannot connect to 10.255.255.1:9876: nothing answered within 100 ms; .*firewall.*; \d attempts have failed/;
  assert(words.test(error.message), error.message);
  assert(!/\d\.\d+ ms/.test(error.message), error.message);
});

Deno.test("connect() refuses authorities that are no certificates in PEM, without a look at the network", async () => {
  const broken = [
    "/etc/ca.pem",
    "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n",
    authority.replace(/.{20}\n-----END/, "\n-----END"),
  ];
  for (const pem of broken) {
    const options = { nameServers: "127.0.0.1:1", tls: { caCerts: [authority, pem] } };
    const error = await assertRejects(() => connect(options), ConfigError);
    assert(error.message.includes("tls.caCerts[1] is no certificate in PEM that can be read"), error.message);
    assert(!error.message.includes("MIGH"), error.message);
  }
});

for (const [what, [answer, says]] of Object.entries(peers)) {
  Deno.test(`connect() to ${what} says what it is, at once`, async () => {
    await using server = new ScriptedServer((_, peer) => peer.send(answer));
    const options = { nameServers: server.address, startTimeout: 60_000, requestTimeout: 60_000 };
    const error = await assertRejects(() => connect(options), NameServerError);
    assert(error.message.includes(says), error.message);
    assert(error.message.includes(server.address), error.message);
    assertEquals(error.code, "NOT_A_NAME_SERVER");
  });
}

Deno.test("connect() to the port of a broker says so", async () => {
  await using server = new ScriptedServer((asked, peer) =>
    peer.answer(asked, { code: 3, remark: `request type ${asked.code} not supported` })
  );
  const error = await assertRejects(() => connect(server.address), NameServerError);
  assert(error.message.includes("a broker answers there"), error.message);
});

Deno.test("connect() without the permission for the network says so at once", async () => {
  const program = `
    import { connect } from ${JSON.stringify(import.meta.resolve("../mod.ts"))};
    const started = performance.now();
    const error = await connect({ nameServers: "127.0.0.1:9876", startTimeout: 60_000 }).catch((error) => error);
    console.log(JSON.stringify({ message: error.message, code: error.code, ms: performance.now() - started }));
  `;
  const args = ["run", "--no-check", "--no-prompt", "--ext=ts", "-"];
  const child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(bytes(program));
  await writer.close();
  const { stdout, stderr } = await child.output();
  const printed = new TextDecoder().decode(stdout);
  assert(printed !== "", new TextDecoder().decode(stderr));
  const { message, code, ms } = JSON.parse(printed);
  assert(message.includes("run it with --allow-net"), message);
  assertEquals(code, "NAME_SERVER_UNREACHABLE");
  assert(ms < 30_000);
});

Deno.test("a broker that announces an address of another network: which, why, and brokerIP1 or mapAddress", async () => {
  const announced = deadAddress();
  await using names = new ScriptedNameServer({ orders: routeOver({ "broker-a": { 0: announced } }) });
  await using mq = await connect({ nameServers: names.address, logger: false, startTimeout: 1_000 });
  const events: StatusEvent[] = [];
  const status = mq.status();
  const reading = (async () => {
    for await (const event of status) events.push(event);
  })();
  const error = await assertRejects(() => mq.consumer({ group: "billing", topics: "orders" }));
  assert(error instanceof Error && error.message.includes("broker-a"), String(error));
  await mq.close();
  await reading;
  const found = events.find(({ text }) => text.includes("announces the address"));
  const message = found?.text ?? "";
  for (const part of ['broker "broker-a"', announced, "nothing listens there", "brokerIP1", "mapAddress"]) {
    assert(message.includes(part), `${part} in ${message}`);
  }
});

Deno.test("mapAddress is called for addresses that servers announce, and for no other", async () => {
  const mapped: string[] = [];
  await using broker = await EmbeddedBroker.start({ topics: { orders: { queues: 1 } } });
  await using names = new ScriptedNameServer({ orders: routeOver({ "broker-a": { 0: "10.255.255.1:10911" } }) });
  const mapAddress = (address: string) => {
    mapped.push(address);
    return broker.nameServer;
  };
  await using mq = await connect({ nameServers: names.address, mapAddress, logger: false });
  await using producer = await mq.producer();
  await producer.send({ topic: "orders", body: "mapped" });
  assertEquals(new Set(mapped), new Set(["10.255.255.1:10911"]));
});
