import { assertEquals, assertRejects } from "@std/assert";
import type { PullAnswer } from "../../../src/consumer/queue/puller.ts";
import { Prefetch } from "../../../src/consumer/queue/prefetch.ts";

/** A queue that ends at 1 000, and whose broker gives `size` offsets at a time. */
class Source {
  readonly pulled: number[] = [];
  /** The room that the last pull took, and what was given back. */
  readonly asked = 32;
  givenBack = 0;
  size = 10;
  bytes = 1_000;
  fits = true;
  failing = false;

  pull = (offset: number): Promise<PullAnswer> => {
    this.pulled.push(offset);
    if (this.failing) return Promise.reject(new RangeError(`from ${offset}`));
    const about = { kind: "found", messages: [], broken: [], brokerId: 0, remark: "", receivedAt: 0 } as const;
    return Promise.resolve({
      ...about,
      bytes: this.bytes,
      nextOffset: Math.min(1_000, offset + this.size),
      maxOffset: 1_000,
    });
  };

  mayPrefetch = (): boolean => this.fits;

  answered = (asked: number): void => void (this.givenBack += asked);

  /** Pulls and learns as a loop does. */
  async read(ahead: Prefetch, from: number, times = 1): Promise<number> {
    for (; times > 0; times--) {
      const answer = await ahead.pull(from, 0, 0);
      ahead.learn(from, answer);
      from = answer.nextOffset;
    }
    return from;
  }
}

Deno.test("Prefetch has a second pull leave once two answers were equally long", async () => {
  const source = new Source();
  const ahead = new Prefetch(source);
  assertEquals(await source.read(ahead, 0, 2), 20);
  assertEquals(source.pulled, [0, 10]);
  assertEquals(await source.read(ahead, 20), 30);
  assertEquals(source.pulled, [0, 10, 20, 30]);
  assertEquals(await source.read(ahead, 30), 40);
  assertEquals(source.pulled, [0, 10, 20, 30, 40]); // the one from 30 on had left, and 40 is the next
});

Deno.test("Prefetch never asks for what the queue may not hold: the broker would wait for it", async () => {
  const source = new Source();
  const ahead = new Prefetch(source);
  await source.read(ahead, 0, 100);
  assertEquals(source.pulled, Array.from({ length: 100 }, (_, i) => i * 10));
  const short = new Source();
  short.size = 15;
  await short.read(new Prefetch(short), 0, 67);
  assertEquals(short.pulled.at(-1), 990);
});

Deno.test("Prefetch drops a wrong guess, and guesses again after two answers of one length", async () => {
  const source = new Source();
  const ahead = new Prefetch(source);
  const at = await source.read(ahead, 0, 2);
  source.size = 7;
  const next = await source.read(ahead, at); // 30 has left with it, but 27 is where it goes on
  assertEquals([next, source.pulled], [27, [0, 10, 20, 30]]);
  await source.read(ahead, next);
  assertEquals(source.pulled, [0, 10, 20, 30, 27]);
  await source.read(ahead, 34);
  assertEquals(source.pulled, [0, 10, 20, 30, 27, 34, 41]);
});

Deno.test("Prefetch has nothing leave early without room, and nothing early counts after reset()", async () => {
  const source = new Source();
  const ahead = new Prefetch(source);
  source.fits = false;
  const at = await source.read(ahead, 0, 3);
  assertEquals(source.pulled, [0, 10, 20]);
  source.fits = true;
  await source.read(ahead, at);
  assertEquals(source.pulled, [0, 10, 20, 30, 40]);
  ahead.reset();
  await source.read(ahead, 40);
  assertEquals(source.pulled, [0, 10, 20, 30, 40, 40]);
});

Deno.test("Prefetch has nothing leave early where answers are large", async () => {
  const source = new Source();
  source.bytes = 64 * 1024 + 1;
  await source.read(new Prefetch(source), 0, 4);
  assertEquals(source.pulled, [0, 10, 20, 30]);
});

Deno.test("Prefetch tells of a pull's failure whoever asks for its answer, and nobody else", async () => {
  const source = new Source();
  const ahead = new Prefetch(source);
  await source.read(ahead, 0, 2);
  source.failing = true;
  await assertRejects(() => ahead.pull(20, 0, 0), RangeError, "from 20");
  await assertRejects(() => ahead.pull(30, 0, 0), RangeError, "from 30");
  assertEquals(source.pulled.slice(0, 4), [0, 10, 20, 30]);
});
