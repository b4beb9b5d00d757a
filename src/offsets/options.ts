/**
 * Options of the offset stores.
 *
 * @module
 */

import { MAX_GROUP_LENGTH, type OptionsCheck } from "../options.ts";
import { LEASE_TIMEOUT, MAX_LEASE_TIMEOUT } from "./lease.ts";

/** The longest name of an instance: it is the name of a file. */
export const MAX_INSTANCE_LENGTH = 127;

/**
 * Options of every store that outlives its program. Unknown names are errors.
 *
 * @category Advanced
 */
export interface LocalStoreOptions {
  /** The group: 1 to 255 characters of `%|a-zA-Z0-9_-`. */
  group: string;
  /**
   * Distinguishes this member from others of the group on this machine: 1 to 127 characters of `%|a-zA-Z0-9_-`. Use the
   * same one after a restart: with another one the member starts without offsets.
   *
   * @default {"default"}
   */
  instance?: string;
  /**
   * How long the offsets stay reserved for this member after its process was killed, 100 to 60 000 ms: its successor
   * waits that long. A member that closes its store leaves no wait.
   *
   * @default {3_000}
   */
  leaseTimeout?: number;
}

/** The names of {@linkcode LocalStoreOptions}. */
export const localStoreNames: readonly (keyof LocalStoreOptions)[] = ["group", "instance", "leaseTimeout"];

/** Fills in the defaults. */
export function checkLocalStore(check: OptionsCheck, options: LocalStoreOptions): Required<LocalStoreOptions> {
  return {
    group: check.name("group", options.group, MAX_GROUP_LENGTH),
    instance: check.name("instance", options.instance ?? "default", MAX_INSTANCE_LENGTH),
    leaseTimeout: check.integer("leaseTimeout", options.leaseTimeout, LEASE_TIMEOUT, 100, MAX_LEASE_TIMEOUT, "ms"),
  };
}

/** Checks a path that may be missing. */
export function checkPath(check: OptionsCheck, path: unknown): void {
  check.shape("path", path, "a path", (value) => typeof value === "string" && value !== "");
}
