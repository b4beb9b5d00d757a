/**
 * Leases in a folder.
 *
 * `name.lock` is a folder with one folder inside, which is named after the lease's owner: its id, or `free`. Each
 * change of owners renames that inner folder, which succeeds for one member only, and only while the folder has the
 * name that this member has read. The owner prepares its files in it: a member that has lost the lease has no such
 * folder, and so nothing to move to where the offsets are. A lock file that is checked before a write could not
 * guarantee that: the program may be suspended between the check and the write.
 *
 * @module
 */

import { OffsetFetchError } from "../errors.ts";
import { integer, object } from "../wire/shapes.ts";
import { type LeasePlace, newOwner, type SeenLease } from "./lease.ts";

/** The inner folder's name while the lease is free. */
const FREE = "free";
/** A lease's record: its timeout in milliseconds. */
const leaseRecord = object({ timeout: integer(0) });

/** The functions of `node:fs/promises` that are used: the module is loaded where files are needed. */
export interface FileSystem {
  /** Makes a folder. */
  mkdir(path: string, options: { recursive: true }): Promise<unknown>;
  /** Lists the names in a folder. */
  readdir(path: string): Promise<string[]>;
  /** Renames a file or a folder, in one step. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a folder. */
  rm(path: string, options: { recursive: true; force: true }): Promise<void>;
  /** Reads a file. */
  readFile(path: string, encoding: "utf8"): Promise<string>;
  /** Writes a file. */
  writeFile(path: string, text: string): Promise<void>;
}

/** A lease in a folder. */
export class FileLease implements LeasePlace {
  /** The folder for files that are being prepared: it exists only while this member has the lease. */
  readonly staging: string;
  #files: FileSystem;
  #folder: string;
  #timeout: number;
  #owner = newOwner();
  #renewals = 0;

  /** Makes a lease that expires `timeout` milliseconds after its last renewal; `folder` is its own. */
  constructor(files: FileSystem, folder: string, timeout: number) {
    this.#files = files;
    this.#folder = folder;
    this.#timeout = timeout;
    this.staging = `${folder}/${this.#owner}`;
  }

  /** Reads the name of the inner folder, and the record in it. */
  async read(): Promise<SeenLease | undefined> {
    const names = await orMissing(this.#files.readdir(this.#folder)) ?? [];
    const [name = FREE, ...others] = names.filter((each) => !each.startsWith(".")); // made by file managers
    if (others.length > 0) {
      const message = `Cannot open the offsets: "${this.#folder}" holds ${names.length} leases, allowed is one`;
      throw new OffsetFetchError(message, { code: "OFFSETS_MALFORMED" });
    }
    if (name === FREE) return undefined;
    const text = await orMissing(this.#files.readFile(`${this.#folder}/${name}/lease.json`, "utf8")) ?? "";
    return { mark: `${name}/${text}`, timeout: timeoutIn(text) };
  }

  /** Renames the inner folder to this member's id. */
  async acquire(seen: SeenLease | undefined): Promise<boolean> {
    const name = seen === undefined ? FREE : seen.mark.slice(0, seen.mark.indexOf("/"));
    if (!await this.#rename(name) && (seen !== undefined || !await this.#make())) return false;
    return await this.renew();
  }

  /** Writes the record again. */
  async renew(): Promise<boolean> {
    this.#renewals++;
    const record = { version: 1, owner: this.#owner, renewals: this.#renewals, timeout: this.#timeout };
    try {
      await this.#files.writeFile(`${this.staging}/lease.json`, JSON.stringify(record));
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    return true;
  }

  /** Whether the inner folder still has this member's id. */
  async isOurs(): Promise<boolean> {
    return await orMissing(this.#files.readdir(this.staging)) !== undefined;
  }

  /** Renames the inner folder to `free`. */
  async release(): Promise<void> {
    await orMissing(this.#files.rename(this.staging, `${this.#folder}/${FREE}`));
  }

  async #rename(from: string): Promise<boolean> {
    try {
      await this.#files.rename(`${this.#folder}/${from}`, this.staging);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  /** Makes the folder with the inner one, in one step: a folder cannot be renamed over one that is not empty. */
  async #make(): Promise<boolean> {
    const made = `${this.#folder}.${this.#owner}`;
    await this.#files.mkdir(`${made}/${this.#owner}`, { recursive: true });
    try {
      await this.#files.rename(made, this.#folder);
      return true;
    } catch (error) {
      await this.#files.rm(made, { recursive: true, force: true });
      if (await orMissing(this.#files.readdir(this.#folder)) !== undefined) return false;
      throw error;
    }
  }
}

/** Whether an error says that a file or a folder is missing. */
export function isMissing(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "ENOENT";
}

/** The result of work; undefined if the file or folder is missing. */
export async function orMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The timeout in a lease's record; 0 for a record that is just being written. */
function timeoutIn(text: string): number {
  try {
    return leaseRecord(JSON.parse(text)).timeout;
  } catch {
    return 0;
  }
}
