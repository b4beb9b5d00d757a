import { assert, assertEquals, assertRejects } from "@std/assert";
import { TimeoutError } from "../../src/errors.ts";
import { Deadline } from "../../src/sending/deadline.ts";
import { type AttemptMode, PendingSend } from "../../src/sending/pending_send.ts";

const queues = ["a", "b", "b"].map((broker, queueId) => ({ topic: "orders", broker, queueId }));
const request = { topic: "orders", body: new Uint8Array(1), flag: 0, sysFlag: 0, properties: "" };
const mode: AttemptMode<number> = { begin() {}, onlyIfNotStored: false, wholeTime: false, oncePerBroker: false };

/** A send with so many milliseconds. */
function pending(timeout: number, signal?: AbortSignal): PendingSend<number> {
  return new PendingSend(request, {}, new Deadline(timeout, signal), mode, queues, undefined);
}

/** Far longer than any of the pauses here takes, on any machine. */
const LONG = 60_000;

Deno.test("PendingSend.pause() lasts no longer than the send's time", async () => {
  const started = performance.now();
  await pending(50).pause(LONG);
  assert(performance.now() - started < LONG / 2);
});

Deno.test("PendingSend.pause() ends when the signal aborts, and when a late answer ends the send", async () => {
  const started = performance.now();
  const stop = new AbortController();
  const aborted = pending(LONG, stop.signal).pause(LONG);
  stop.abort();
  await aborted;
  const answered = pending(LONG);
  const pause = answered.pause(LONG);
  answered.resolve({ answer: 1, queue: queues[0]! });
  await pause;
  assertEquals([await answered.done, answered.isOver], [{ answer: 1, queue: queues[0]! }, true]);
  assert(performance.now() - started < LONG / 2);
});

Deno.test("PendingSend counts the attempts that brokers have failed, and the brokers without an attempt", async () => {
  const send = pending(LONG);
  assertEquals([send.untriedBrokers, send.failuresOf("a"), send.spent], [2, 0, 0]);
  const error = new TimeoutError("send", 5);
  for (const queue of [queues[1]!, queues[2]!]) send.addFailed({ queue, error, maybeStored: true });
  assertEquals([send.untriedBrokers, send.failuresOf("b"), send.spent, send.answers], [1, 2, 2, 0]);
  send.reject(error);
  await assertRejects(() => send.done, TimeoutError);
});
