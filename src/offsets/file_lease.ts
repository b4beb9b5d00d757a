/**
 * Leases in a folder.
 *
 * `name.lock` is a folder with one folder inside, whose name says whose the lease is: its owner's id, or `free`. Each
 * change of owners renames that inner folder, which succeeds for one of those who try, and only while the name is the
 * one they have seen. The owner prepares its files inside of it: whoever has lost the lease finds no folder of its
 * name, and so has nothing that it could move to where the offsets are. A lock file that is looked at before a write
 * could not promise that: the program may stand still between the look and the write.
 *
 * @module
 */

import { OffsetFetchError } from "../errors.ts";
import { integer, object } from "../wire/shapes.ts";
import { type LeasePlace, newOwner, type SeenLease } from "./lease.ts";

/** The inner folder's name when nobody has the lease. */
const FREE = "free";
/** What a record says of a lease's life, in milliseconds. */
const leaseRecord = object({ timeout: integer(0) });

/** What is used of `node:fs/promises`, which is loaded by whoever needs files. */
export interface FileSystem {
  /** Makes a folder. */
  mkdir(path: string, options: { recursive: true }): Promise<unknown>;
  /** Names what is in a folder. */
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
  /** The folder for files that only the owner may bring out. */
  readonly workshop: string;
  #files: FileSystem;
  #folder: string;
  #timeout: number;
  #owner = newOwner();
  #renewals = 0;

  /** Makes a lease that lives for `timeout` milliseconds without a renewal; `folder` is its own. */
  constructor(files: FileSystem, folder: string, timeout: number) {
    this.#files = files;
    this.#folder = folder;
    this.#timeout = timeout;
    this.workshop = `${folder}/${this.#owner}`;
  }

  /** Looks for the inner folder. */
  async look(): Promise<SeenLease | undefined> {
    const names = await orMissing(this.#files.readdir(this.#folder)) ?? [];
    const [name = FREE, ...others] = names.filter((each) => !each.startsWith(".")); // file managers leave such things
    if (others.length > 0) {
      const message = `Cannot open the offsets: "${this.#folder}" holds ${names.length} leases, there can only be one`;
      throw new OffsetFetchError(message, { code: "OFFSETS_MALFORMED" });
    }
    if (name === FREE) return undefined;
    const text = await orMissing(this.#files.readFile(`${this.#folder}/${name}/lease.json`, "utf8")) ?? "";
    return { mark: `${name}/${text}`, timeout: timeoutIn(text) };
  }

  /** Gives the inner folder our name. */
  async take(seen: SeenLease | undefined): Promise<boolean> {
    const name = seen === undefined ? FREE : seen.mark.slice(0, seen.mark.indexOf("/"));
    if (!await this.#rename(name) && (seen !== undefined || !await this.#make())) return false;
    return await this.renew();
  }

  /** Writes our record anew. */
  async renew(): Promise<boolean> {
    this.#renewals++;
    const record = { version: 1, owner: this.#owner, renewals: this.#renewals, timeout: this.#timeout };
    try {
      await this.#files.writeFile(`${this.workshop}/lease.json`, JSON.stringify(record));
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    return true;
  }

  /** Whether the inner folder has our name. */
  async isOurs(): Promise<boolean> {
    return await orMissing(this.#files.readdir(this.workshop)) !== undefined;
  }

  /** Gives the inner folder nobody's name. */
  async release(): Promise<void> {
    await orMissing(this.#files.rename(this.workshop, `${this.#folder}/${FREE}`));
  }

  async #rename(from: string): Promise<boolean> {
    try {
      await this.#files.rename(`${this.#folder}/${from}`, this.workshop);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  /** Makes the folder with ours inside, in one step: a folder cannot be renamed over one that holds something. */
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

/** Whether an error says that a file or a folder is not there. */
export function isMissing(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "ENOENT";
}

/** What work gives; undefined if the file or folder is not there. */
export async function orMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** How long a lease lives by what its record says; a record that is just being written says nothing. */
function timeoutIn(text: string): number {
  try {
    return leaseRecord(JSON.parse(text)).timeout;
  } catch {
    return 0;
  }
}
