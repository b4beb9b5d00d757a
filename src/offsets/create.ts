/**
 * The choice of the place where the offsets of one member are kept.
 *
 * @module
 */

import { OptionsCheck } from "../options.ts";
import { canKeepFiles, FileOffsetStore } from "./file.ts";
import { checkKv, hasDenoKv, isGranted, KvOffsetStore } from "./kv.ts";
import type { KvLike } from "./kv_like.ts";
import type { LocalOffsetStore, OffsetStoreKind } from "./local.ts";
import { MemoryOffsetStore } from "./memory.ts";
import { checkLocalStore, checkPath, localStoreNames, type LocalStoreOptions } from "./options.ts";

/**
 * Options of {@linkcode createOffsetStore}.
 *
 * @category Advanced
 */
export interface OffsetStoreOptions extends LocalStoreOptions {
  /**
   * Where offsets are kept: `"kv"`, `"file"`, `"memory"`, or the first of these that is available without a permission
   * prompt.
   *
   * @default {"auto"}
   */
  type?: OffsetStoreKind | "auto";
  /** Where exactly: the database of KV, or the folder of files. */
  path?: string;
  /** A KV database that is open, and stays so. */
  kv?: KvLike;
}

/**
 * Makes an offset store that is not open yet; its `kind` says which. `"memory"` is a store whose offsets end with the
 * program: warn the user if that was not chosen.
 *
 * ```ts
 * import { createOffsetStore } from "@denorocket/rocketmq/consumer";
 *
 * await using store = await createOffsetStore({ group: "billing", instance: "blue" });
 * if (store.kind === "memory") console.warn("Offsets are lost when this program ends");
 * await store.open();
 * ```
 *
 * @throws {ConfigError} naming every problem
 * @category Advanced
 */
export async function createOffsetStore(options: OffsetStoreOptions): Promise<LocalOffsetStore> {
  validateOffsetStoreOptions(options);
  const { type = "auto", path, kv, ...rest } = options;
  const place = path === undefined ? {} : { path };
  switch (type === "auto" ? await firstKind(options) : type) {
    case "kv":
      return new KvOffsetStore({ ...rest, ...(kv === undefined ? place : { kv }) });
    case "file":
      return new FileOffsetStore({ ...rest, ...place });
    case "memory":
      return new MemoryOffsetStore();
  }
}

/**
 * Checks the options of {@linkcode createOffsetStore}.
 *
 * @throws {ConfigError} naming every problem
 * @category Advanced
 */
export function validateOffsetStoreOptions(options: OffsetStoreOptions): void {
  const check = new OptionsCheck("create an offset store");
  check.known(options, [...localStoreNames, "type", "path", "kv"]);
  checkLocalStore(check, options);
  const type = check.oneOf("type", options.type, "auto", ["auto", "kv", "file", "memory"]);
  if (type === "auto" || type === "kv") {
    checkKv(check, options.kv, options.path);
  } else {
    check.shape("kv", options.kv, `missing where the type is "${type}"`, () => false);
    checkPath(check, options.path);
  }
  check.done();
}

/** The best kind that is available here. */
async function firstKind({ kv, path }: OffsetStoreOptions): Promise<OffsetStoreKind> {
  if (kv !== undefined || (hasDenoKv() && mayOpenKv(path))) return "kv";
  return await canKeepFiles(path) ? "file" : "memory";
}

/** A database without a path is Deno's own, and needs no permission. */
function mayOpenKv(path: string | undefined): boolean {
  return path === undefined || path === ":memory:" ||
    (isGranted({ name: "read", path }) && isGranted({ name: "write", path }));
}
