/**
 * The files of this checkout, as paths from its root.
 *
 * @module
 */

import { dirname, fromFileUrl } from "@std/path";

/** The checkout's root, wherever a command was started. */
export const root: string = dirname(dirname(dirname(fromFileUrl(import.meta.url))));

/** Those of some paths that are there. */
export function existing(paths: readonly string[]): string[] {
  return paths.filter((path) => infoOf(`${root}/${path}`) !== undefined);
}

/** Every file at or below a path whose name ends like this, in the order of the alphabet; none if the path is not there. */
export function filesBelow(path: string, ending: string): string[] {
  const info = infoOf(`${root}/${path}`);
  if (info?.isDirectory !== true) return info !== undefined && path.endsWith(ending) ? [path] : [];
  const names = [...Deno.readDirSync(`${root}/${path}`)].map(({ name }) => name).sort();
  return names.flatMap((name) => filesBelow(`${path}/${name}`, ending));
}

function infoOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
