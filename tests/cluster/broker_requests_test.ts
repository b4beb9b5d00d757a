import { assertEquals, assertRejects } from "@std/assert";
import { BrokerRequests, type BrokerRoute, clientRoute, groupRoute } from "../../src/cluster/broker_requests.ts";
import { NetworkError } from "../../src/errors.ts";
import { Connection, type Reply } from "../../src/transport/connection.ts";
import { encodeHeader, type HeaderText } from "../../src/wire/fields.ts";
import { decodeFrame, encodeFrame } from "../../src/wire/frame.ts";
import { notifyConsumerIdsChanged, type RequestSpec } from "../../src/wire/requests.ts";
import { MemorySocket } from "../transport/memory_socket.ts";

/** As brokers ask a producer about a transaction: the group stands in the message, not in the header. */
const checkState = {
  name: "CheckTransactionState",
  code: 39,
  about: "Asks a producer what became of a transaction.",
  header: { transactionId: "text", commitLogOffset: "long" },
  answer: {},
  bodies: ["the message", "none"],
} as const satisfies RequestSpec;

/** As brokers pass a reply on: it is for whoever waits for it, of any group. */
const pushReply = {
  name: "PushReply",
  code: 326,
  about: "Passes a reply on.",
  header: { topic: "text" },
  answer: {},
  bodies: ["the reply", "none"],
} as const satisfies RequestSpec;

/** Asks as a broker does. */
async function ask(requests: BrokerRequests, code: number, fields: HeaderText, body?: string): Promise<Reply> {
  const bytes = body === undefined ? undefined : new TextEncoder().encode(body);
  const command = decodeFrame(encodeFrame({ code, opaque: 1, fields, body: bytes }));
  const connection = new Connection(new MemorySocket());
  try {
    return await requests.serve(command, connection);
  } finally {
    connection.close();
  }
}

function checks(id: string): BrokerRoute {
  return groupRoute(
    checkState,
    (_, { body }) => new TextDecoder().decode(body),
    ({ transactionId, commitLogOffset }) => ({ code: 0, remark: `${id}: ${transactionId} at ${commitLogOffset + 1}` }),
  );
}

const check = { transactionId: "t", commitLogOffset: "8" };

Deno.test("BrokerRequests finds the member of the group that a header names, and answers without one", async () => {
  const requests = new BrokerRequests();
  const seen: string[] = [];
  const members = (name: string) =>
    groupRoute(notifyConsumerIdsChanged, ({ consumerGroup }) => consumerGroup, ({ consumerGroup }) => {
      seen.push(`${name} ${consumerGroup}`);
      return { code: 0 };
    });
  const changed = (consumerGroup: string) =>
    ask(requests, notifyConsumerIdsChanged.code, encodeHeader(notifyConsumerIdsChanged.header, { consumerGroup }));

  assertEquals(await changed("billing"), { code: 3, remark: "request type 40 not supported" });
  const leave = requests.register("consumer", "billing", [members("one")]);
  requests.register("consumer", "audit", [members("two")]);
  assertEquals([await changed("billing"), await changed("audit")], [{ code: 0 }, { code: 0 }]);
  leave();
  leave();
  assertEquals(await changed("billing"), { code: 1, remark: "no consumer of group billing is on this client" });
  assertEquals(seen, ["one billing", "two audit"]);
});

Deno.test("BrokerRequests serves a check whose group stands in the message, by the newest producer of the group", async () => {
  const requests = new BrokerRequests();
  const leaveFirst = requests.register("producer", "senders", [checks("first")]);
  const leaveSecond = requests.register("producer", "senders", [checks("second")]);
  assertEquals((await ask(requests, 39, check, "senders")).remark, "second: t at 9");
  leaveSecond();
  assertEquals((await ask(requests, 39, check, "senders")).remark, "first: t at 9");
  const { code, remark } = await ask(requests, 39, check, "others");
  assertEquals([code, remark], [1, "no producer of group others is on this client"]);
  leaveFirst();
  assertEquals((await ask(requests, 39, check, "senders")).code, 3);
});

Deno.test("BrokerRequests serves what is for the whole client whatever group it was registered for", async () => {
  const requests = new BrokerRequests();
  const route = clientRoute(pushReply, ({ topic }, { command }) => ({ code: 0, remark: topic, body: command.body }));
  requests.register("producer", "senders", [route]);
  const { remark, body } = await ask(requests, 326, { topic: "replies" }, "yes");
  assertEquals([remark, new TextDecoder().decode(body)], ["replies", "yes"]);
});

Deno.test("BrokerRequests fails a request whose header makes no sense", async () => {
  const requests = new BrokerRequests();
  requests.register("producer", "senders", [checks("one")]);
  const error = await assertRejects(() => ask(requests, 39, {}, "senders"), NetworkError, "CheckTransactionState");
  assertEquals(error.code, "MALFORMED_FRAME");
});
