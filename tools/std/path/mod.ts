/**
 * The part of `@std/path` that our tests use, so that they run where jsr.io cannot be reached.
 *
 * @module
 */

import { fileURLToPath, pathToFileURL } from "node:url";

export { basename, dirname, extname, isAbsolute, join, relative, resolve, sep as SEPARATOR } from "node:path";

/** The path that a `file:` URL names. */
export function fromFileUrl(url: string | URL): string {
  return fileURLToPath(url);
}

/** The `file:` URL of an absolute path. */
export function toFileUrl(path: string): URL {
  return pathToFileURL(path);
}
