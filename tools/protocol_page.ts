/**
 * Writes `docs/protocol.md` from the table of requests:
 *
 * ```sh
 * deno run -A tools/protocol_page.ts
 * ```
 *
 * @module
 */

import type { Field, Fields } from "../src/wire/fields.ts";
import { requests, type RequestSpec } from "../src/wire/requests.ts";
import { root } from "./testing/files.ts";

/** The command that writes the page. */
export const COMMAND = "deno run -A tools/protocol_page.ts";

/** Where the page is, as a path from the root. */
export const PAGE = "docs/protocol.md";

/** The page, as `deno fmt` would leave it. */
export function protocolPage(specs: readonly RequestSpec[] = requests): string {
  return [
    "# Requests",
    "",
    "<!-- Generated from src/wire/requests.ts. To change it, change that table, and run:",
    `     ${COMMAND} -->`,
    "",
    INTRODUCTION,
    "",
    ...table(["type", "as text"], TYPES),
    "",
    ...table(["code", "request", "what it does"], specs.map((spec) => [String(spec.code), linkTo(spec), spec.about])),
    ...specs.flatMap((spec) => ["", ...section(spec)]),
    "",
  ].join("\n");
}

const INTRODUCTION = `\
The requests that this package sends, serves in its embedded broker, or answers when a broker makes them. Each travels
in a frame: 4 bytes of total length, 4 bytes of header length (the highest is the header's encoding), header, body. The
header of a request holds its code, a number that the answer repeats, and the fields below; all values travel as text.
An answer's code is 0 for success; its fields are those of a success.`;

const TYPES = [
  ["`text`", "as it is"],
  ["`int`", "a decimal number of 32 bits"],
  ["`long`", "a decimal number of 64 bits; one beyond ±(2⁵³−1) is refused here"],
  ["`bool`", "`true` or `false`"],
];

function section(spec: RequestSpec): string[] {
  const [requestBody, answerBody] = spec.bodies ?? ["none", "none"];
  return [
    `## ${spec.name}`,
    "",
    `Code ${spec.code}. ${spec.about}`,
    "",
    ...header("request", spec.header),
    "",
    `Body of the request: ${requestBody}.`,
    "",
    ...header("answer", spec.answer),
    "",
    `Body of the answer: ${answerBody}.`,
  ];
}

function header(of: "request" | "answer", fields: Fields): string[] {
  const columns = Object.entries(fields).map(([name, field]) => columnOf(name, field));
  if (columns.length === 0) return [`The ${of} has no fields.`];
  const renamed = columns.some(({ name, wire }) => name !== wire);
  const rows = columns.map(({ name, wire, type, needed }) => [
    code(name),
    ...(renamed ? [code(wire)] : []),
    code(type),
    needed,
  ]);
  return table([`field of the ${of}`, ...(renamed ? ["on the wire"] : []), "type", "needed"], rows);
}

function columnOf(name: string, field: Field) {
  const [kind = "", wire = name] = field.split("=");
  return { name, wire, type: kind.replace("?", ""), needed: kind.endsWith("?") ? "no" : "yes" };
}

/** A table whose columns are as wide as their longest cell, as `deno fmt` aligns it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, i) => Math.max(3, title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[], fill = " ") =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0, fill)).join(" | ")} |`;
  return [line(head), line(head.map(() => ""), "-"), ...rows.map((row) => line(row))];
}

function linkTo({ name }: RequestSpec): string {
  return `[${name}](#${name.toLowerCase()})`;
}

function code(text: string): string {
  return `\`${text}\``;
}

if (import.meta.main) {
  await Deno.writeTextFile(`${root}/${PAGE}`, protocolPage());
  console.log(`${PAGE} is written`);
}
