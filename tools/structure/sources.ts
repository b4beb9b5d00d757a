/**
 * The rules about what a source file says. Code is judged by its syntax tree, so comments and strings do not count.
 *
 * Works under `deno test` only, where `Deno.lint` is.
 *
 * @module
 */

/** The longest a source file may be. */
const MAX_LINES = 350;

/** The most private fields of a class: one with more has a part that wants a name. */
const MAX_FIELDS = 12;

/** The files that may name `Deno`; a path that ends in a slash is a folder. */
const DENO_PLACES = ["src/transport/deno.ts", "src/offsets/kv.ts", "src/cli/"];

/** The files that may read JSON: what they return is checked. A path that ends in a slash is a folder. */
const JSON_PLACES = [
  "src/wire/json_fields.ts", // what it has written itself
  "src/wire/json.ts",
  "src/wire/shapes.ts",
  "src/wire/frame.ts", // headers, whose fields are checked one by one
  "src/wire/stored_message.ts", // for users, who say what it is
  "src/cluster/route_data.ts", // where an odd entry costs that entry only
  "src/offsets/file_format.ts",
  "src/offsets/file_lease.ts",
];

/** Functions that make a value of a text. */
const JSON_READERS: ReadonlySet<string> = new Set(["parse", "parseJson", "parseBody"]);

/** Chooses the transport of the runtime, and may ask `"Deno" in globalThis` for that. */
const RUNTIME_CHOICE = "src/transport/default.ts";

/** Notes of work that is left. Written, as the next one, so that it does not match itself. */
const UNFINISHED = /\b(?:TO[D]O|FIX[M]E)\b/;

/** Paths that exist on one machine only. */
const MACHINE_PATH = /(?:^|[\s"'`(=:])\/(?:home|Users|root|work|mnt)\/\w/;

const PLUGIN: Deno.lint.Plugin = {
  name: "structure",
  rules: {
    any: { create: anyRule },
    error: { create: errorRule },
    deno: { create: denoRule },
    json: { create: jsonRule },
    cast: { create: castRule },
    fields: { create: fieldsRule },
  },
};

/** What is wrong with a source file, each with its line. */
export function sourceProblems(path: string, text: string): string[] {
  const found = Deno.lint.runPlugin(PLUGIN, path, text)
    .filter(({ id }) => id !== "structure/deno" || !inPlaces(path, DENO_PLACES))
    .filter(({ id }) => id !== "structure/json" || !inPlaces(path, JSON_PLACES))
    .filter(({ range, message }) => !isRuntimeChoice(path, text, range[0], message))
    .map(({ range, message }) => `${path}:${lineAt(text, range[0])}: ${message}`);
  const lines = text.trimEnd().split("\n").length;
  if (lines > MAX_LINES) found.push(`${path}: ${lines} lines, ${MAX_LINES} are allowed`);
  return [...found, ...textProblems(path, text)];
}

/** What is wrong with the text of any file, code or not. */
export function textProblems(path: string, text: string): string[] {
  return text.split("\n").flatMap((line, index) => {
    const at = `${path}:${index + 1}`;
    return [
      UNFINISHED.test(line) ? `${at}: unfinished work is noted in the code` : "",
      MACHINE_PATH.test(line) ? `${at}: a path of one machine` : "",
    ].filter((problem) => problem !== "");
  });
}

/** `any` turns checking off for whatever it touches. */
function anyRule(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  return { TSAnyKeyword: (node) => context.report({ node, message: "any is not allowed, unknown is" }) };
}

/** Callers cannot tell a plain Error from any other. */
function errorRule(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  const check = (node: Deno.lint.NewExpression | Deno.lint.CallExpression) => {
    const plain = node.callee.type === "Identifier" && node.callee.name === "Error";
    if (plain) context.report({ node, message: "a plain Error is not allowed, a class of errors.ts is" });
  };
  return { NewExpression: check, CallExpression: check };
}

/** Every way to get at the global: by name, as a type, as a member, by its name in a string. */
function denoRule(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  const message = '"Deno" may be named in transport/deno.ts, offsets/kv.ts and cli/ only';
  return {
    Identifier: (node) => node.name === "Deno" && context.report({ node, message }),
    Literal: (node) => node.value === "Deno" && context.report({ node, message }),
  };
}

/** What somebody else has written is read by a shape, which checks it: see `wire/shapes.ts`. */
function jsonRule(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  const message = "JSON may be read by the readers of wire/body_readers.ts only, or one of their kind";
  return { CallExpression: (node) => readsJson(node) && context.report({ node, message }) };
}

/** Too much state in one place. */
function fieldsRule(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  return {
    ClassBody: (node) => {
      const fields = node.body.filter((member) =>
        member.type === "PropertyDefinition" && member.key.type === "PrivateIdentifier"
      );
      if (fields.length <= MAX_FIELDS) return;
      const message = `${fields.length} private fields, ${MAX_FIELDS} are allowed`;
      context.report({ node, message });
    },
  };
}

/** What was parsed is not believed. */
function castRule(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  const message = "parsed JSON is not cast, its shape is checked";
  return { TSAsExpression: (node) => readsJson(node.expression) && context.report({ node, message }) };
}

function readsJson(node: Deno.lint.Node): boolean {
  if (node.type !== "CallExpression") return false;
  const { callee } = node;
  if (callee.type === "Identifier") return callee.name !== "parse" && JSON_READERS.has(callee.name);
  return callee.type === "MemberExpression" && callee.object.type === "Identifier" && callee.object.name === "JSON" &&
    callee.property.type === "Identifier" && JSON_READERS.has(callee.property.name);
}

function isRuntimeChoice(path: string, text: string, start: number, message: string): boolean {
  return path === RUNTIME_CHOICE && message.startsWith('"Deno"') &&
    /^["']Deno["'] in globalThis\b/.test(text.slice(start));
}

function inPlaces(path: string, places: readonly string[]): boolean {
  return places.some((place) => place.endsWith("/") ? path.startsWith(place) : path === place);
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
