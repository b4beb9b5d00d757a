import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { requests, type RequestSpec } from "../src/wire/requests.ts";
import { COMMAND, PAGE, protocolPage } from "../tools/protocol_page.ts";
import { root } from "../tools/testing/files.ts";

Deno.test("docs/protocol.md is what the table of requests says", async () => {
  const page = await Deno.readTextFile(`${root}/${PAGE}`);
  assert(page === protocolPage(), `${PAGE} is stale, write it again: ${COMMAND}`);
});

Deno.test("protocolPage() shows a request with its code, fields and bodies", () => {
  const spec: RequestSpec = {
    name: "AskTime",
    code: 7,
    about: "Asks what time it is.",
    header: { zone: "text", precision: "int?=p" },
    answer: { time: "long" },
    bodies: ["none", "a picture of a clock"],
  };
  const page = protocolPage([spec]);

  const section = page.slice(page.indexOf("## AskTime")).split("\n");
  assertEquals(section, [
    "## AskTime",
    "",
    "Code 7. Asks what time it is.",
    "",
    "| field of the request | on the wire | type   | needed |",
    "| -------------------- | ----------- | ------ | ------ |",
    "| `zone`               | `zone`      | `text` | yes    |",
    "| `precision`          | `p`         | `int`  | no     |",
    "",
    "Body of the request: none.",
    "",
    "| field of the answer | type   | needed |",
    "| ------------------- | ------ | ------ |",
    "| `time`              | `long` | yes    |",
    "",
    "Body of the answer: a picture of a clock.",
    "",
  ]);
  assertStringIncludes(page, "| 7    | [AskTime](#asktime) | Asks what time it is. |");
});

Deno.test("protocolPage() shows every request once, and deno fmt would leave it", async () => {
  const page = protocolPage();
  assertEquals(page.match(/^## .*$/gm), requests.map(({ name }) => `## ${name}`));

  const fmt = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext=md", "-"],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  await new Blob([page]).stream().pipeTo(fmt.stdin);
  assertEquals(await fmt.stdout.text(), page);
  assertEquals((await fmt.status).success, true);
});
