/**
 * Keeps child processes from outliving this one, however it ends.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Waits for the end of its input, which comes when the process on the other side ends, even by SIGKILL. */
const SCRIPT = `
cat > /dev/null
for file in "$1"/*.pid; do
  [ -f "$file" ] && kill -9 "$(cat "$file")" 2> /dev/null
done
rm -rf "$1" 2> /dev/null || { sleep 1; rm -rf "$1"; }
`;

/** A shell that waits for the end of this process. */
export interface Watchdog {
  /** Adds a process to those that the watchdog kills; the returned function takes it off again. */
  watch(pid: number): () => void;
  /** Makes it act now: everything watched is killed and the folder is gone. */
  release(): Promise<void>;
}

/** Starts a watchdog: when this process ends, it kills what it {@linkcode Watchdog.watch}es and removes a folder. */
export function startWatchdog(folder: string): Watchdog {
  const shell = spawn("sh", ["-c", SCRIPT, "watchdog", folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true, // else Ctrl-C reaches it too, and Deno kills it after an uncaught error
  });
  const ended = new Promise<void>((resolve) => shell.once("close", () => resolve()));
  return {
    watch(pid) {
      const file = join(folder, `${pid}.pid`);
      writeFileSync(file, String(pid));
      return () => rmSync(file, { force: true });
    },
    release() {
      shell.stdin.end();
      return ended;
    },
  };
}
