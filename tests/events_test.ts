import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { EventHub, type StatusEvent } from "../src/events.ts";
import { isSettled, Unheard } from "./transport/waiting.ts";

/** A hub whose log is kept. */
class LoggedHub extends EventHub {
  readonly lines: unknown[][];

  constructor() {
    const lines: unknown[][] = [];
    super({
      warn: (...args: unknown[]) => void lines.push(["warn", ...args]),
      error: (...args: unknown[]) => void lines.push(["error", ...args]),
    });
    this.lines = lines;
  }
}

/** So many topics are told apart, so that each has few events in the time of a test. */
const MOST_PLACES = 900;

/** Emits events with the texts `0`, `1`, … */
function emitMany(hub: EventHub, count: number, from = 0): void {
  for (let i = from; i < from + count; i++) hub.emit("info", "disconnected", `${i}`, { topic: `${i % MOST_PLACES}` });
}

async function textOf(reader: AsyncIterator<StatusEvent>): Promise<string | undefined> {
  const { done, value } = await reader.next();
  return done ? undefined : value.text;
}

/** What a reader has left, once its hub is closed. */
async function rest(reader: AsyncIterable<StatusEvent>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of reader) texts.push(text);
  return texts;
}

Deno.test("emit() makes an event of its parts, and takes nothing from the details that it has itself", async () => {
  const hub = new EventHub(false);
  const reader = hub.read();
  const before = Date.now();
  const error = new RangeError("why");
  const queue = { topic: "orders", broker: "a", queueId: 1 };
  const details = { group: "billing", broker: "a", topic: "orders", queue, offset: 5, error };
  const more = { type: "lost", level: "info", text: "x", at: new Date(0) };
  hub.emit("warning", "stalled", "a text", { ...details, ...more });
  const { value } = await reader.next();
  const { at, ...event } = value as StatusEvent;
  assertEquals(event, { type: "stalled", level: "warning", text: "a text (why)", ...details });
  assert(at instanceof Date && at.getTime() >= before && at.getTime() <= Date.now());
});

Deno.test("read() gives the events from its call on, to each reader at its own pace", async () => {
  const hub = new EventHub(false);
  emitMany(hub, 1);
  const slow = hub.read();
  emitMany(hub, 2, 1);
  const late = hub.read();
  emitMany(hub, 1, 3);
  assertEquals([await textOf(late), await textOf(slow), await textOf(slow)], ["3", "1", "2"]);
  hub.close();
  assertEquals([await rest(slow), await rest(late)], [["3"], []]);
});

Deno.test("read() waits for the next event", async () => {
  const hub = new EventHub(false);
  const reader = hub.read();
  for (const text of ["0", "1"]) {
    const next = textOf(reader);
    assertEquals(await isSettled(next), false);
    emitMany(hub, 1, Number(text));
    assertEquals(await next, text);
  }
});

Deno.test("a reader that is too slow loses the oldest of 1 000 and is told how many, before what is left", async () => {
  const hub = new EventHub(false);
  const [quick, slow] = [hub.read(), hub.read()];
  emitMany(hub, 1_000);
  for (let i = 0; i < 1_000; i++) assertEquals(await textOf(quick), `${i}`);
  emitMany(hub, 1_500, 1_000);

  const { value } = await slow.next();
  const { type, level, text, at } = value as StatusEvent;
  assertEquals([type, level, at instanceof Date], ["lost", "warning", true]);
  assertStringIncludes(text, "1500 events were dropped");
  for (let i = 1_500; i < 2_500; i++) assertEquals(await textOf(slow), `${i}`);
  assertStringIncludes((await textOf(quick))!, "500 events were dropped");

  emitMany(hub, 1_001);
  assertStringIncludes((await textOf(slow))!, "1 events were dropped");
  hub.close();
  assertEquals((await rest(slow)).length, 1_000);
});

Deno.test("close() ends readers when they have read what is left, and those that wait at once", async () => {
  const hub = new EventHub(false);
  const [full, waiting] = [hub.read(), hub.read()];
  emitMany(hub, 2);
  await textOf(waiting);
  await textOf(waiting);
  const next = waiting.next();
  hub.close();
  hub.close();
  assertEquals(await next, { done: true, value: undefined });
  assertEquals(await rest(full), ["0", "1"]);
  assertEquals(await full.next(), { done: true, value: undefined });
});

Deno.test("read() of a hub that is closed ends at once", async () => {
  const hub = new EventHub(false);
  hub.close();
  const reader = hub.read();
  emitMany(hub, 1);
  assertEquals(await rest(reader), []);
});

Deno.test("return() ends a reader, also one that waits, and no other", async () => {
  const hub = new EventHub(false);
  const [ended, other] = [hub.read(), hub.read()];
  const next = ended.next();
  assertEquals(await ended.return!(), { done: true, value: undefined });
  assertEquals(await next, { done: true, value: undefined });
  emitMany(hub, 1);
  assertEquals([await textOf(ended), await textOf(other)], [undefined, "0"]);
  assertEquals(await ended.return!(), { done: true, value: undefined });
});

Deno.test("warnings and errors go to the logger as text, with the innermost cause of the error behind them", () => {
  const hub = new LoggedHub();
  const error = new RangeError("why");
  hub.emit("info", "connected", "a", { broker: "a" });
  hub.emit("warning", "stalled", "b", {});
  hub.emit("error", "disconnected", "c", { error: new Error("outer", { cause: error }) });
  assertEquals(hub.lines, [["warn", "[rocketmq] stalled: b"], ["error", "[rocketmq] disconnected: c (why)"]]);
});

Deno.test("the logger goes on whether or not somebody reads, or has stopped reading", async () => {
  const hub = new LoggedHub();
  const reader = hub.read();
  hub.emit("error", "disconnected", "a", {});
  assertEquals([hub.lines, await textOf(reader)], [[["error", "[rocketmq] disconnected: a"]], "a"]);
  hub.read(); // which nobody ever asks for an event
  hub.emit("error", "disconnected", "b", { group: "billing" });
  await reader.return!();
  hub.emit("error", "disconnected", "c", { group: "audit" });
  assertEquals(hub.lines.length, 3);
  hub.close();
});

Deno.test("each kind of event of each group is logged at most once a minute, with the count of what was left out", () => {
  using time = new FakeTime(Date.UTC(2026, 0, 2, 12));
  const hub = new LoggedHub();
  const emit = (type: "stalled" | "commitFailed", text: string, group = "") =>
    hub.emit("warning", type, text, { group });
  emit("stalled", "1");
  emit("stalled", "2");
  emit("commitFailed", "3");
  emit("stalled", "4", "billing");
  emit("stalled", "5", "billing");
  time.tick(59_999);
  emit("stalled", "6");
  time.tick(1);
  emit("stalled", "7");
  emit("stalled", "8");
  time.tick(60_000);
  emit("stalled", "9", "billing");
  const texts = hub.lines.map(([, line]) => `${line}`.slice("[rocketmq] ".length).replace(/^\w+: /, ""));
  const late = (count: number, at: string) => ` (${count} like it since the last line, this at ${at} UTC)`;
  const [start, minute] = ["12:00:00", "12:01:00"];
  const six = `6${late(2, "12:00:59")}`;
  assertEquals(texts, ["1", "3", "4", six, `5${late(1, start)}`, `8${late(2, minute)}`, "9"]);
  emit("stalled", "10");
  hub.close();
  assertEquals(hub.lines.at(-1), ["warn", `[rocketmq] stalled: 10${late(1, "12:02:00")}`]); // nothing follows
});

Deno.test("recoveries are logged, by info if the logger has it; other news are not", () => {
  const lines: string[][] = [];
  const write = (method: string) => (...args: unknown[]) => void lines.push([method, ...args.map(String)]);
  for (const logger of [{ warn: write("warn"), error: write("error") }, { ...console, info: write("info") }]) {
    const hub = new EventHub(logger);
    hub.emit("info", "connected", "connected to broker a", { broker: "a" });
    hub.emit("info", "rebalanced", "2 queues gained", { group: "billing", gained: [], lost: [] });
    hub.emit("info", "revived", "broker a recovered after 3.2 s", { broker: "a" });
    hub.close();
  }
  const line = "[rocketmq] revived: broker a recovered after 3.2 s";
  assertEquals(lines, [["warn", line], ["info", line]]);
});

Deno.test("the end of a fault is logged although its beginning was in the same minute", () => {
  const hub = new LoggedHub();
  hub.emit("warning", "partialRoute", "incomplete", { topic: "orders" });
  hub.emit("info", "partialRoute", "complete again", { topic: "orders" });
  assertEquals(hub.lines.length, 2);
});

Deno.test("an event's type says which fields it has", async () => {
  const hub = new EventHub(false);
  const reader = hub.read();
  const queue = { topic: "orders", broker: "a", queueId: 1 };
  hub.emit("info", "rebalanced", "1 gained", { group: "billing", gained: [queue], lost: [] });
  hub.close();
  for await (const event of reader) {
    if (event.type === "rebalanced") assertEquals(event.gained.map(({ broker }) => broker), ["a"]);
  }
});

Deno.test("a logger of false silences, console is the default", () => {
  const { warn, error } = console;
  const lines: unknown[][] = [];
  console.warn = (...args) => lines.push(["warn", ...args]);
  console.error = (...args) => lines.push(["error", ...args]);
  try {
    new EventHub(false).emit("error", "disconnected", "a", {});
    new EventHub(undefined).emit("error", "disconnected", "b", {});
    new EventHub().emit("warning", "stalled", "c", {});
  } finally {
    Object.assign(console, { warn, error });
  }
  assertEquals(lines, [["error", "[rocketmq] disconnected: b"], ["warn", "[rocketmq] stalled: c"]]);
});

Deno.test("next() may be called again before it has resolved, as on any async iterator", async () => {
  const hub = new EventHub(false);
  const reader = hub.read();
  const nexts = [textOf(reader), textOf(reader), textOf(reader)];
  emitMany(hub, 2);
  const settled = await Promise.all(nexts.map(isSettled));
  hub.close();
  assertEquals(settled, [true, true, false]);
  assertEquals(await Promise.all(nexts), ["0", "1", undefined]);
});

Deno.test("next() after return() gives nothing more, also if events were waiting", async () => {
  const hub = new EventHub(false);
  const reader = hub.read();
  emitMany(hub, 1_002);
  await reader.return!();
  assertEquals(await reader.next(), { done: true, value: undefined });
});

Deno.test("emit() does not fail because the logger does", () => {
  const fail = () => {
    throw new RangeError("the log is full");
  };
  const hub = new EventHub({ warn: fail, error: fail });
  hub.emit("warning", "stalled", "a", {});
  hub.emit("error", "disconnected", "b", {});
});

Deno.test("emit() says nothing once the hub is closed: the client has ended", () => {
  const hub = new LoggedHub();
  hub.close();
  hub.emit("warning", "disconnected", "a", {});
  assertEquals(hub.lines, []);
});

Deno.test("a clock that is set back does not silence the log", () => {
  const hub = new LoggedHub();
  const noon = Date.UTC(2026, 0, 2, 12);
  for (const now of [noon, noon - 86_400_000]) {
    using _time = new FakeTime(now);
    hub.emit("warning", "stalled", "a", {});
  }
  using time = new FakeTime(noon - 86_400_000);
  time.tick(60_000);
  hub.emit("warning", "stalled", "a", {});
  assert(hub.lines.length >= 2, `${hub.lines.length} lines in 1 minute after the clock was set back by a day`);
});

/** What a reader has got so far: the texts, and how many events each stands for besides. */
function countsOf(events: readonly StatusEvent[]): [string, number | undefined][] {
  return events.map(({ text, repeated }) => [text, repeated]);
}

/** Reads until the hub closes. */
function reading(hub: EventHub): { readonly events: StatusEvent[]; readonly ended: Promise<void> } {
  const events: StatusEvent[] = [];
  const reader = hub.read();
  const read = async () => {
    for await (const event of reader) events.push(event);
  };
  return { events, ended: read() };
}

Deno.test("of more than 10 events of one kind and place in a second the last comes later, with a count", async () => {
  using time = new FakeTime();
  const hub = new EventHub(false);
  const { events, ended } = reading(hub);
  for (let i = 0; i < 10_000; i++) hub.emit("warning", "stalled", `${i}`, { group: "billing" });
  hub.emit("warning", "stalled", "another", { group: "audit" });
  hub.emit("warning", "throttled", "kind", { group: "billing", broker: "" });
  await time.tickAsync(999);
  assertEquals(events.length, 12);
  await time.tickAsync(1_001);
  await time.runMicrotasks();
  assertEquals(countsOf(events.slice(9)), [
    ["9", undefined],
    ["another", undefined],
    ["kind", undefined],
    ["9999", 9_989],
  ]);
  hub.emit("warning", "stalled", "calm", { group: "billing" });
  await time.tickAsync(10_000);
  await time.runMicrotasks();
  assertEquals(countsOf(events.slice(13)), [["calm", undefined]]);
  hub.close();
  await ended;
});

Deno.test("what is held back when the hub closes is delivered, and no timer is left", async () => {
  const hub = new EventHub(false);
  const { events, ended } = reading(hub);
  for (let i = 0; i < 20; i++) hub.emit("info", "disconnected", `${i}`, { group: "billing" });
  hub.close();
  await ended;
  assertEquals(countsOf(events).at(-1), ["19", 9]);
  assertEquals(events.length, 11);
});

Deno.test("faults without end at places without end are bounded: readers, log and memory", async () => {
  using time = new FakeTime();
  const hub = new LoggedHub();
  hub.read(); // which nobody ever asks for an event
  const { events, ended } = reading(hub);
  for (let second = 0; second < 5; second++) {
    for (let i = 0; i < 20_000; i++) {
      hub.emit("error", "disconnected", "x".repeat(3_000), { group: "billing", broker: `${second}-${i}`, offset: i });
    }
    await time.tickAsync(1_000);
  }
  assert(events.length <= 5 * 1_100 * 10, `${events.length} events`);
  assert(hub.lines.length <= 1_001, `${hub.lines.length} lines of a minute`);
  assert(events.every(({ text }) => text.length <= 2_001));
  const stood = events.reduce((sum, { repeated = 0 }) => sum + 1 + repeated, 0);
  hub.close();
  await ended;
  assert(stood + events.length > 5_000);
});

Deno.test("texts of events and lines of the log are plain, whatever they are made of", async () => {
  const hub = new LoggedHub();
  const { events, ended } = reading(hub);
  hub.emit("error", "disconnected", "a\u001b[31mb\nc\u202ed\ud800e", {});
  hub.close();
  await ended;
  const text = "a\\u001b[31mb\\nc\\u202ed\\ud800e";
  assertEquals([events[0]!.text, hub.lines], [text, [["error", `[rocketmq] disconnected: ${text}`]]]);
});

Deno.test("a logger that rejects, throws or returns what only looks like a promise takes nothing down", async () => {
  using unheard = new Unheard();
  const results: (() => unknown)[] = [
    () => Promise.reject(new RangeError("late")),
    () => ({
      then: () => {
        throw new RangeError("then");
      },
    }),
    () => {
      throw new RangeError("now");
    },
  ];
  for (const result of results) {
    const hub = new EventHub({ warn: result, error: result });
    hub.emit("error", "disconnected", "a", {});
    hub.emit("warning", "stalled", "a", {});
    hub.close();
  }
  assertEquals(await unheard.reported(), []);
});
