/** Credentials: what is signed, what brokers refuse, and that no secret is ever shown. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Client, ConfigError, connect, type ConnectOptions, CredentialsError, type StatusEvent } from "../mod.ts";
import { EmbeddedBroker } from "../src/embedded/mod.ts";
import { waitUntil } from "./behaviour/harness.ts";
import { fromJavaScript } from "./untyped.ts";

const keys = { accessKey: "billing-app", secretKey: "S3cret/of+billing" };

for (const dialect of ["5.x", "4.9"] as const) {
  const start = () =>
    EmbeddedBroker.start({
      dialect,
      credentials: [keys],
      topics: { orders: { queues: 2 } },
      delayLevels: [1, 1, 1, 1],
    });

  Deno.test(`credentials, ${dialect}: whatever a client does is signed`, async () => {
    await using broker = await start();
    await using mq = await connect({ nameServers: broker.nameServer, credentials: keys, logger: false });
    await using producer = await mq.producer();
    await producer.send({ topic: "orders", keys: "é", body: "send" });
    await producer.sendBatch([{ topic: "orders", body: "batch a" }, { topic: "orders", body: "batch b" }]);
    await producer.sendOneway({ topic: "orders", body: "oneway" });
    await using linger = await mq.producer({ group: "lingerers", linger: 1 });
    await linger.send({ topic: "orders", body: "linger" });
    for (const ordering of ["concurrent", "orderly"] as const) {
      const consumer = await mq.consumer({ group: `g-${ordering}`, topics: "orders", consumeFrom: "first", ordering });
      const seen = new Set<string>();
      const running = consumer.runEach((message) => {
        if (message.reconsumeTimes === 0 && message.text() === "send") throw new Error("once more");
        seen.add(message.text());
      });
      await waitUntil(() => seen.size === 5, { what: "all messages, one of them retried" });
      await consumer.lag();
      await consumer.close();
      await running;
    }
    if (dialect === "5.x") {
      await using pop = await mq.popConsumer({ group: "poppers", topics: "orders" });
      await producer.send({ topic: "orders", body: "pop" });
      for await (const batch of pop) {
        await batch.ack();
        break;
      }
    }
    await using reader = await mq.reader({ topic: "orders", from: "earliest" });
    for await (const batch of reader) if (batch.length > 0) break;
  });

  Deno.test(`credentials, ${dialect}: refused keys are a CredentialsError at once`, async () => {
    await using broker = await start();
    const wrong: [string, Partial<ConnectOptions>][] = [
      ["none", {}],
      ["a wrong secret", { credentials: { ...keys, secretKey: "other" } }],
      ["an unknown account", { credentials: { ...keys, accessKey: "stranger" } }],
    ];
    for (const [what, options] of wrong) {
      await using mq = await connect({ nameServers: broker.nameServer, logger: false, ...options });
      await using producer = await mq.producer({ sendTimeout: 20_000 });
      const started = performance.now();
      const error = await assertRejects(
        () => producer.send({ topic: "orders", body: "x" }),
        CredentialsError,
        "",
        what,
      );
      assert(performance.now() - started < 10_000, what);
      assertEquals([error.code, error.retriable], ["CREDENTIALS_REFUSED", false]);
      await assertRejects(() => mq.consumer({ group: "billing", topics: "orders" }), CredentialsError, "", what);
      if (dialect === "5.x") {
        await assertRejects(() => mq.popConsumer({ group: "poppers", topics: "orders" }), CredentialsError, "", what);
      }
    }
    assertEquals(broker.maxOffset("orders", 0) + broker.maxOffset("orders", 1), 0);
  });
}

Deno.test("credentials: a function is called again when its keys are refused, once for all requests", async () => {
  await using broker = await EmbeddedBroker.start({ credentials: [keys], topics: { orders: { queues: 1 } } });
  let calls = 0;
  const credentials = () => Promise.resolve(++calls === 1 ? { ...keys, secretKey: "expired" } : keys);
  await using mq = await connect({ nameServers: broker.nameServer, credentials, logger: false });
  await using producer = await mq.producer();
  await Promise.all(Array.from({ length: 20 }, (_, i) => producer.send({ topic: "orders", body: `${i}` })));
  assertEquals([calls, broker.maxOffset("orders", 0)], [2, 20]);
});

Deno.test("credentials: a function that fails, or returns nothing, is a CredentialsError", async () => {
  await using broker = await EmbeddedBroker.start();
  const bad: NonNullable<ConnectOptions["credentials"]>[] = [
    () => Promise.reject(new RangeError("vault is sealed")),
    () => fromJavaScript(undefined),
    () => fromJavaScript({ accessKey: "a" }),
  ];
  for (const credentials of bad) {
    await assertRejects(() => connect({ nameServers: broker.nameServer, credentials }), CredentialsError);
  }
});

Deno.test("credentials: no secret is shown by errors, events, logs, or by what is inspected", async () => {
  const secret = "T0p-Secret";
  const shown: string[] = [];
  const note = (value: unknown) => {
    shown.push(Deno.inspect(value, { depth: 20, showHidden: true }), String(value));
    try {
      shown.push(JSON.stringify(value));
    } catch {
      // cycles have no JSON
    }
  };
  const logger = { warn: (...args: unknown[]) => note(args), error: (...args: unknown[]) => note(args) };
  await using broker = await EmbeddedBroker.start({ credentials: [keys], topics: { orders: { queues: 1 } } });
  const bad = [{ accessKey: "", secretKey: secret }, { accessKey: "a", secretKey: secret, securityToken: "" }, [
    secret,
  ]];
  for (const credentials of bad) {
    note(await assertRejects(() => connect({ credentials: fromJavaScript(credentials) }), ConfigError, "credentials"));
  }
  const credentials = { accessKey: "billing-app", secretKey: secret, securityToken: `${secret}-token` };
  const mq: Client = await connect({ nameServers: broker.nameServer, credentials, logger });
  const events: StatusEvent[] = [];
  const status = mq.status();
  const reading = (async () => {
    for await (const event of status) events.push(event);
  })();
  await using producer = await mq.producer();
  note(await assertRejects(() => producer.send({ topic: "orders", body: "x" })));
  note(await assertRejects(() => mq.consumer({ group: "billing", topics: "orders" })));
  note(mq);
  note(producer);
  await mq.close();
  await reading;
  for (const event of events) note(event);
  assertEquals(shown.filter((text) => text?.includes(secret)), []);
});
