/**
 * The behaviour that users are promised, on Bun and on Node 20: the scenarios of `tests/broker/behaviour_test.ts`, with
 * client and embedded broker in one process there. Scenarios are chosen in the same way:
 *
 * ```sh
 * BEHAVIOUR="late ack" deno test -A --filter "on Bun" tests/runtimes/behaviour_test.ts
 * ```
 */

import { assert, assertEquals } from "@std/assert";
import type { LastLine, ScenarioLine } from "./behaviour_program.ts";
import { builtIn, testOnRuntimes } from "./other_runtimes.ts";

/** How long all scenarios may take, in milliseconds: several times what they need. Each has a limit of its own too. */
const PATIENCE = 240_000;
/** How long the program may take to end once it has closed everything, in milliseconds. */
const END_PATIENCE = 10_000;

await testOnRuntimes("behaviour", async ({ name, command }, t) => {
  const folder = await Deno.makeTempDir({ prefix: "behaviour-" });
  const started = performance.now();
  let ran = 0;
  let ended = false;
  try {
    await using program = new Program(command, await builtIn(folder, "tests/runtimes/behaviour_program.ts"));
    for await (const line of program.lines()) {
      if (!line.startsWith("{")) {
        console.log(line); // a measurement
        continue;
      }
      const told: ScenarioLine | LastLine = JSON.parse(line);
      if ("ended" in told) {
        ended = true;
        program.endsWithin(END_PATIENCE, "its last line: something is still open");
      } else {
        if (told.leftOut === undefined) ran++;
        await t.step(stepOf(told));
      }
    }
    await program.end();
    assert(ended, "The program ended before all scenarios had");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  assert(ran > 0, "No scenario ran");
  console.log(`behaviour on ${name}: ${ran} scenarios, ${((performance.now() - started) / 1_000).toFixed(1)} s`);
});

/** A scenario that ran elsewhere, as a step that succeeds or fails as it did there. */
function stepOf({ scenario, failure, leftOut }: ScenarioLine): Deno.TestStepDefinition {
  return {
    name: leftOut === undefined ? scenario : `${scenario} (left out: ${leftOut})`,
    ignore: leftOut !== undefined,
    fn: () => {
      if (failure !== undefined) throw new Error(failure);
    },
    // The program is open meanwhile.
    sanitizeOps: false,
    sanitizeResources: false,
  };
}

/** A program at work, whose errors count as its own. */
class Program {
  #child: Deno.ChildProcess;
  #stderr: Promise<string>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #late: string | undefined;

  constructor(command: string, file: string) {
    const piped = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
    this.#child = new Deno.Command(command, { ...piped, args: [file] }).spawn();
    this.#stderr = new Response(this.#child.stderr).text();
    this.endsWithin(PATIENCE, "its start");
  }

  /** What it prints, line by line; one without an end was cut off, and is left out. */
  async *lines(): AsyncGenerator<string> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  }

  /** Kills it if it has not ended after some time. */
  endsWithin(timeout: number, since: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#late = `The program has not ended ${timeout / 1_000} s after ${since}`;
      this.#child.kill("SIGKILL");
    }, timeout);
  }

  /** Waits for its end; fails unless it ended in order, and without a word on the way. */
  async end(): Promise<void> {
    const [status, stderr] = await Promise.all([this.#child.status, this.#stderr]);
    assert(this.#late === undefined, `${this.#late}\n${stderr}`);
    assertEquals([stderr, status.code], ["", 0], "what it wrote to stderr, and its exit code");
  }

  /** Whatever has happened, it does not outlive the test. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await this.#child[Symbol.asyncDispose]();
    await this.#stderr;
  }
}
