/**
 * Offsets in a readable file: on every runtime that has `node:fs`.
 *
 * | below the folder | what |
 * |---|---|
 * | `group/instance.json` | the offsets |
 * | `group/instance.json.bak` | what that file held before |
 * | `group/instance.json.lock/` | the lease, and the files that are being written |
 *
 * @module
 */

import { OffsetError, OffsetFetchError, ValidationError } from "../errors.ts";
import type { MessageQueue } from "../message.ts";
import { OptionsCheck } from "../options.ts";
import { parseOffsets, printOffsets } from "./file_format.ts";
import { FileLease, isMissing, orMissing } from "./file_lease.ts";
import { isGranted } from "./kv.ts";
import { Lease, taken } from "./lease.ts";
import { LocalOffsetStore } from "./local.ts";
import { checkLocalStore, checkPath, localStoreNames, type LocalStoreOptions } from "./options.ts";
import type { OffsetStore, QueueOffset } from "./store.ts";
import { StoredOffsets } from "./stored_offsets.ts";

type NodeFiles = typeof import("node:fs/promises");

/**
 * Options of {@linkcode FileOffsetStore}.
 *
 * @category Advanced
 */
export interface FileOffsetStoreOptions extends LocalStoreOptions {
  /**
   * The folder, which several groups and instances may share.
   *
   * @default {".rocketmq-offsets" in the user's home}
   */
  path?: string;
}

/**
 * Keeps offsets in a file of JSON, for one member: no other member writes it while the store is open.
 *
 * A write replaces the whole file in one step, once the new content is on the disk. The content before is kept beside
 * it in a `.bak`, which is read if the file is missing or broken.
 *
 * @category Advanced
 */
export class FileOffsetStore extends LocalOffsetStore {
  #offsets: FileOffsets;

  /**
   * Makes a store that is not open yet.
   *
   * @throws {ConfigError} naming every problem
   */
  constructor(options: FileOffsetStoreOptions) {
    const offsets = new FileOffsets(checkOptions(options));
    super("file", offsets);
    this.#offsets = offsets;
  }

  /** Whether the offsets come from the `.bak`, so that some messages are delivered again. */
  get usesBackup(): boolean {
    return this.#offsets.usesBackup;
  }
}

/** Whether files can be kept in a folder, or in the default one. Never triggers a permission prompt. */
export async function canKeepFiles(path?: string): Promise<boolean> {
  try {
    const folder = path ?? await defaultFolder();
    if (folder === undefined) return false;
    if (!isGranted({ name: "read", path: folder }) || !isGranted({ name: "write", path: folder })) return false;
    const files = await import("node:fs/promises");
    await files.mkdir(folder, { recursive: true });
    // access() would trigger a prompt for the user's id.
    const probe = `${folder}/.${crypto.randomUUID()}`;
    await files.mkdir(probe);
    await files.rmdir(probe);
    return true;
  } catch {
    return false;
  }
}

class FileOffsets implements OffsetStore {
  usesBackup = false;
  #options: CheckedOptions;
  #files: NodeFiles | undefined;
  #path = "";
  #place: FileLease | undefined;
  #lease: Lease | undefined;
  #stored = new StoredOffsets();
  /** Whether the file's content is worth a backup. */
  #isSound = false;

  constructor(options: CheckedOptions) {
    this.#options = options;
  }

  async open(signal: AbortSignal): Promise<void> {
    const { group, instance, leaseTimeout } = this.#options;
    const folder = `${this.#options.path ?? await requireDefaultFolder()}/${encodeURIComponent(group)}`;
    const files = this.#files ??= await import("node:fs/promises");
    await files.mkdir(folder, { recursive: true });
    this.#path = `${folder}/${encodeURIComponent(instance)}.json`;
    this.#place = new FileLease(files, `${this.#path}.lock`, leaseTimeout);
    const lease = new Lease(this.#place, this.#options, leaseTimeout);
    await lease.acquire(signal);
    this.#lease = lease;
    try {
      this.#stored.set(await this.#load(files));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  read(queue: MessageQueue): number | undefined {
    return this.#stored.read(queue);
  }

  async write(offsets: readonly QueueOffset[]): Promise<void> {
    const all = new StoredOffsets();
    all.set(this.#stored.all());
    all.set(offsets);
    await this.#replace(this.#files!, this.#place!, printOffsets(this.#options, all.all()));
    this.#stored = all;
  }

  async close(): Promise<void> {
    await this.#lease?.release();
    this.#lease = undefined;
  }

  async #load(files: NodeFiles): Promise<QueueOffset[]> {
    const text = await orMissing(files.readFile(this.#path, "utf8"));
    const offsets = text === undefined ? undefined : this.#parse(text, this.#path);
    this.#isSound = offsets !== undefined;
    if (offsets !== undefined) return offsets;
    const backupPath = `${this.#path}.bak`;
    const backup = await orMissing(files.readFile(backupPath, "utf8"));
    if (text === undefined && backup === undefined) return [];
    const restored = backup === undefined ? undefined : this.#parse(backup, backupPath);
    if (restored === undefined) {
      const message = `Cannot read the offsets: "${this.#path}" and its .bak are broken or missing; remove what is ` +
        `left of them to start without offsets`;
      throw new OffsetFetchError(message, { code: "OFFSETS_MALFORMED" });
    }
    this.usesBackup = true;
    return restored;
  }

  #parse(text: string, path: string): QueueOffset[] | undefined {
    try {
      return parseOffsets(this.#options, text);
    } catch (cause) {
      if (!(cause instanceof ValidationError)) throw cause;
      throw new OffsetFetchError(`${cause.message}, in "${path}"`, { code: "OFFSETS_MALFORMED", cause });
    }
  }

  /** Prepares everything in the lease's folder: without the lease there is nothing to rename. */
  async #replace(files: NodeFiles, { staging }: FileLease, text: string): Promise<void> {
    try {
      await writeThrough(files, `${staging}/next.json`, text);
      // If what is copied is missing, that is the file, which is no harm, or the lease's folder, which shows next.
      if (this.#isSound) await orMissing(this.#backUp(files, staging));
      await files.rename(`${staging}/next.json`, this.#path);
    } catch (error) {
      if (isMissing(error) && !await this.#place!.isOurs()) throw taken(this.#options);
      throw error;
    }
    await syncFolder(files, this.#path.slice(0, this.#path.lastIndexOf("/")));
    this.#isSound = true;
  }

  async #backUp(files: NodeFiles, staging: string): Promise<void> {
    await files.copyFile(this.#path, `${staging}/previous.json`);
    await files.rename(`${staging}/previous.json`, `${this.#path}.bak`);
  }
}

/** Writes a file and waits until the disk has it. */
async function writeThrough(files: NodeFiles, path: string, text: string): Promise<void> {
  const file = await files.open(path, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the names in a folder durable. Some systems cannot: if they crash now, the file before is still whole. */
async function syncFolder(files: NodeFiles, path: string): Promise<void> {
  const folder = await files.open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

/** Where files are kept by default; undefined if finding that out would trigger a permission prompt. */
async function defaultFolder(): Promise<string | undefined> {
  const home = isGranted({ name: "sys", kind: "homedir" })
    ? (await import("node:os")).homedir()
    : await variable("HOME") ?? await variable("USERPROFILE");
  return home === undefined || home === "" ? undefined : `${home}/.rocketmq-offsets`;
}

async function requireDefaultFolder(): Promise<string> {
  const folder = await defaultFolder();
  if (folder !== undefined) return folder;
  throw new OffsetError("Cannot open the offsets: the user's home is unknown; set path to their folder", {
    code: "OFFSETS_UNAVAILABLE",
  });
}

async function variable(name: string): Promise<string | undefined> {
  if (!isGranted({ name: "env", variable: name })) return undefined;
  return (await import("node:process")).default.env[name];
}

type CheckedOptions = Required<LocalStoreOptions> & Pick<FileOffsetStoreOptions, "path">;

function checkOptions(options: FileOffsetStoreOptions): CheckedOptions {
  const check = new OptionsCheck("create an offset store in a file");
  check.known(options, [...localStoreNames, "path"]);
  const checked = checkLocalStore(check, options);
  const { path } = options;
  checkPath(check, path);
  check.done();
  return path === undefined ? checked : { ...checked, path };
}
