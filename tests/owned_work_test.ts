import { assert, assertEquals, assertThrows } from "@std/assert";
import { RocketMQError } from "../src/errors.ts";
import { inAnyCase, inBackground, notAPromise, unheard } from "../src/owned_work.ts";
import { Unheard } from "./transport/waiting.ts";

Deno.test("inBackground() calls who owns the work with its failure, and hears what that one throws", async () => {
  using rejections = new Unheard();
  const heard: unknown[] = [];
  inBackground(Promise.resolve(1), (error) => heard.push(error));
  inBackground(Promise.reject("a"), (error) => heard.push(error));
  inBackground(Promise.reject("b"), () => {
    throw new RangeError("the owner has failed");
  });
  inBackground(Promise.reject("c"), unheard);
  assertEquals([await rejections.reported(), heard], [[], ["a"]]);
});

Deno.test("inAnyCase() takes all steps in order, at once until one takes time, and reports each failure", async () => {
  const steps: string[] = [];
  const failures: unknown[] = [];
  const fail = (what: string) => {
    steps.push(what);
    throw what;
  };
  const done = inAnyCase([
    () => steps.push("a"),
    () => fail("b"),
    () => Promise.reject("c"),
    () => Promise.resolve().then(() => fail("d")),
    () => steps.push("e"),
  ], (error) => failures.push(error));
  assertEquals(steps, ["a", "b"]);
  await done;
  assertEquals([steps, failures], [["a", "b", "d", "e"], ["b", "c", "d"]]);
});

Deno.test("notAPromise() gives what a function has returned; a promise is an error, and its failure is heard", async () => {
  using rejections = new Unheard();
  assertEquals(notAPromise("a", "mapAddress"), "a");
  assertEquals(notAPromise(undefined, "mapAddress"), undefined);
  const error = assertThrows(() => notAPromise(Promise.reject(new RangeError("late")), "mapAddress"), RocketMQError);
  assertEquals(error.code, "CALLBACK_FAILED");
  assert(error.message.includes("mapAddress"));
  assertEquals(await rejections.reported(), []);
});
