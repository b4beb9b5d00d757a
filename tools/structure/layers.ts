/**
 * The rules of the import graph. Each is a function from a graph to complaints, so that tests can show it a bad graph.
 *
 * ```text
 * cli → mod.ts → client.ts → { consumer, producer, admin } → { offsets, telemetry } → { brokers, sending } → cluster
 *                                                                               cluster → transport → wire → bottom
 *                                                                              embedded → transport → wire → bottom
 * ```
 *
 * @module
 */

import type { Graph } from "./graph.ts";

/**
 * The layers from the bottom up. A file may import its own layer and any below, except for a neighbour: what stands
 * in one row does not import each other.
 */
const ROWS: readonly (readonly string[])[] = [
  [
    "builtin",
    "message",
    "errors",
    "events",
    "health",
    "event_log",
    "status_event",
    "options",
    "option_names",
    "owned_work",
    "pace",
    "placed_list",
    "plain_text",
    "waiting",
  ],
  ["wire"],
  ["transport"],
  ["cluster"],
  ["brokers", "sending"],
  ["offsets", "telemetry"],
  ["consumer", "producer", "admin"],
  ["connect_options"],
  ["client"],
  ["mod"],
  ["cli"],
];

/**
 * The rooms of the consumer, as the layers: a folder of `src/consumer`, or a file that stands there by itself. What is
 * in no row stands at the top.
 */
const CONSUMER_ROWS: readonly (readonly string[])[] = [
  ["allocation", "subscriptions", "start_offset", "group_length", "wait_options"],
  ["options", "options_check"],
  ["queue"],
  ["assignment", "delivery"],
  ["group"],
];

/** Those at the bottom are small files that share a row and may know each other. */
const BOTTOM: readonly string[] = ROWS[0] ?? [];

/** The embedded broker speaks the same bytes and knows nothing of the client, so that each tests the other. */
const BELOW_EMBEDDED: readonly string[] = ["transport", "wire", ...BOTTOM];

/** Where modules of the runtimes may be imported, and which. A path that ends in a slash is a folder. */
const NODE_MODULES: Readonly<Record<string, readonly string[]>> = {
  "src/transport/node.ts": ["node:net", "node:tls", "node:process"],
  "src/wire/": ["node:buffer"],
  "src/builtin.ts": ["node:crypto", "node:zlib"], // MD5 and zlib, which the web's own do not have in one go
  "src/waiting.ts": ["node:timers"], // a turn of the event loop without the millisecond of a timer
  "src/offsets/file.ts": ["node:fs/promises", "node:os", "node:process"], // loaded when a file store is opened
};

/** The imports that point up, sideways, or to what only tests may have. */
export function layerProblems(graph: Graph): string[] {
  return edges(graph).flatMap(([from, to]) => {
    if (!isInside(to)) return [];
    const [upper, lower] = [layerOf(from), layerOf(to)];
    const unknown = [upper, lower].find((layer) => !isLayer(layer));
    if (unknown !== undefined) return [`${from} → ${to}: "${unknown}" is in no row of tools/structure/layers.ts`];
    return mayImport(upper, lower) ? [] : [`${from} → ${to}: ${upper} must not import ${lower}`];
  });
}

/** The imports within the consumer that point up or sideways, from room to room. */
export function roomProblems(graph: Graph): string[] {
  return edges(graph).flatMap(([from, to]) => {
    const [upper, lower] = [roomOf(from), roomOf(to)];
    if (upper === undefined || lower === undefined || upper === lower) return [];
    const [above, below] = [roomRow(upper), roomRow(lower)];
    const isFree = above === CONSUMER_ROWS.length || (above === 1 && below === 1);
    return isFree || below < above ? [] : [`${from} → ${to}: ${upper} must not import ${lower}`];
  });
}

/** The files that import the door of their own folder: siblings are imported directly, or cycles follow. */
export function doorProblems(graph: Graph): string[] {
  return edges(graph)
    .filter(([from, to]) => from !== to && to === `${folderOf(from)}/mod.ts`)
    .map(([from, to]) => `${from} → ${to}: a file must not import its own folder's door`);
}

/**
 * The imports from outside of the package: none but the few modules that Deno, Bun and Node share.
 *
 * A package like `@std/async` shows as the stand-in below `tools/`: that is for tests, the package depends on nothing.
 */
export function outsideProblems(graph: Graph): string[] {
  return edges(graph)
    .filter(([from, to]) => !isInside(to) && !mayUse(from, to))
    .map(([from, to]) => `${from} → ${to}: outside of the package, and not allowed there by tools/structure/layers.ts`);
}

/** The cycles between files, each as the way around it. Importing a type counts as importing. */
export function cycleProblems(graph: Graph): string[] {
  const done = new Set<string>();
  const problems: string[] = [];
  const visit = (file: string, way: readonly string[]): void => {
    const at = way.indexOf(file);
    if (at >= 0) problems.push(`cycle: ${[...way.slice(at), file].join(" → ")}`);
    if (at >= 0 || done.has(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...way, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return problems;
}

function mayImport(upper: string, lower: string): boolean {
  if (upper === lower) return true;
  if (lower === "embedded") return false;
  if (upper === "embedded") return BELOW_EMBEDDED.includes(lower);
  if (BOTTOM.includes(upper) && BOTTOM.includes(lower)) return true;
  return rowOf(lower) < rowOf(upper);
}

function mayUse(from: string, module: string): boolean {
  return Object.entries(NODE_MODULES).some(([place, modules]) =>
    modules.includes(module) && (place.endsWith("/") ? from.startsWith(place) : from === place)
  );
}

/** The folder below `src` or the name of the file there: `consumer`, `errors`, `mod`. */
function layerOf(path: string): string {
  const [first = "", second] = path.replace(/^src\//, "").split("/");
  return second === undefined ? first.replace(/\.ts$/, "") : first;
}

/** The folder below `src/consumer` or the name of the file there; undefined for other places. */
function roomOf(path: string): string | undefined {
  return /^src\/consumer\/([^/]+?)(?:\.ts|\/.*)$/.exec(path)?.[1];
}

function roomRow(room: string): number {
  const row = CONSUMER_ROWS.findIndex((rooms) => rooms.includes(room));
  return row < 0 ? CONSUMER_ROWS.length : row;
}

function isLayer(name: string): boolean {
  return name === "embedded" || rowOf(name) >= 0;
}

function rowOf(layer: string): number {
  return ROWS.findIndex((row) => row.includes(layer));
}

function isInside(path: string): boolean {
  return path === "mod.ts" || path.startsWith("src/");
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function edges(graph: Graph): [from: string, to: string][] {
  return [...graph].flatMap(([from, targets]) => targets.map((to): [string, string] => [from, to]));
}
