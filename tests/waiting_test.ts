import { assertEquals, assertRejects } from "@std/assert";
import { Semaphore } from "../src/waiting.ts";

Deno.test("Semaphore lets so many work at a time, in the order in which they came, also after one has failed", async () => {
  const gate = new Semaphore(2);
  const begun: number[] = [];
  const works = Array.from({ length: 5 }, () => Promise.withResolvers<number>());
  const passes = works.map(({ promise }, i) =>
    gate.pass(() => {
      begun.push(i);
      return promise;
    })
  );
  assertEquals(begun, [0, 1]);
  works[1]!.reject(new RangeError("no"));
  await assertRejects(() => passes[1]!, RangeError, "no");
  assertEquals(begun, [0, 1, 2]);
  works[0]!.resolve(0);
  works[2]!.resolve(2);
  assertEquals(await Promise.all([passes[0], passes[2]]), [0, 2]);
  assertEquals(begun, [0, 1, 2, 3, 4]);
  works[3]!.resolve(3);
  works[4]!.resolve(4);
  assertEquals(await Promise.all([passes[3], passes[4]]), [3, 4]);
  assertEquals(await gate.pass(() => Promise.resolve(5)), 5);
});
