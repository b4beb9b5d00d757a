/**
 * The import graph of the package, as plain data that checks and their tests can make up.
 *
 * @module
 */

import { toFileUrl } from "@std/path";

/** Which files import what: paths from the root, or the specifier itself where it names no file (`node:zlib`). */
export type Graph = ReadonlyMap<string, readonly string[]>;

/** The shape of `deno info --json`, as far as it is read here. */
interface Info {
  modules: {
    specifier: string;
    error?: string;
    dependencies?: { specifier: string; code?: Resolved; type?: Resolved }[];
  }[];
}

interface Resolved {
  specifier?: string;
  error?: string;
}

/**
 * Asks `deno info` what some files import: also by type, dynamically, and in types like `import("./a.ts").A`.
 *
 * A file that imports them all stands at the top, because `deno info` takes one.
 */
export async function loadGraph(root: string, files: readonly string[]): Promise<Graph> {
  const top = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(top, files.map((file) => `import "${toFileUrl(`${root}/${file}`)}";\n`).join(""));
    const args = ["info", "--json", "--config", `${root}/deno.json`, top];
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: root }).output();
    if (!success) throw new Error(`Cannot read the import graph: ${new TextDecoder().decode(stderr)}`);
    return graphOf(JSON.parse(new TextDecoder().decode(stdout)), root, files);
  } finally {
    await Deno.remove(top);
  }
}

function graphOf(info: Info, root: string, files: readonly string[]): Graph {
  const graph = new Map<string, readonly string[]>();
  for (const { specifier, error, dependencies = [] } of info.modules) {
    const path = pathOf(specifier, root);
    if (!files.includes(path)) continue;
    if (error !== undefined) throw new Error(`Cannot read the imports of "${path}": ${error}`);
    const targets = dependencies.flatMap(({ specifier, code, type }) => {
      const found = [code?.specifier, type?.specifier].filter((target) => target !== undefined);
      return found.length > 0 ? found : [specifier];
    });
    graph.set(path, [...new Set(targets.map((target) => pathOf(target, root)))]);
  }
  const missing = files.filter((file) => !graph.has(file));
  if (missing.length > 0) throw new Error(`Cannot find ${missing.join(", ")} in the import graph`);
  return graph;
}

function pathOf(specifier: string, root: string): string {
  const base = toFileUrl(root).href + "/";
  return specifier.startsWith(base) ? decodeURI(specifier.slice(base.length)) : specifier;
}
