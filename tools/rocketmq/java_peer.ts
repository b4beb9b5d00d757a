/**
 * Runs RocketMQ's own Java client, to test that it and ours understand each other. See `Peer.java` for its commands.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchRocketMQ, type RocketMQVersion } from "./fetch.ts";
import { javaArgs, logbackFile, MEMORY, SILENT_LOGBACK } from "./server_config.ts";
import { startWatchdog, type Watchdog } from "./watchdog.ts";

/** What Java needs to compile `Peer.java`, start and end, on top of the time its command may take, in milliseconds. */
const GRACE = 20_000;

/** The client looks for new queues of known topics every 20 seconds; tests do not wait for that. */
const QUICK_REBALANCE = [
  "-Drocketmq.client.rebalance.waitInterval=1000",
  "-Drocketmq.client.rebalance.minInterval=200",
];

/** Options of {@linkcode runJavaPeer}. */
export interface RunJavaPeerOptions {
  /**
   * How long a consumer may wait for its messages, in milliseconds. Whatever the command, it is killed 20 seconds later.
   *
   * @default {60_000}
   */
  timeout?: number;
  /** Called with each line as it is printed: to act while the peer runs. */
  onLine?: (line: string) => void;
  /** More arguments of `java`: `["-Dtls.enable=true"]`. */
  javaOptions?: string[];
  /** Kills it when it aborts, so that no goodbye is sent. */
  signal?: AbortSignal;
}

/** What a run of {@linkcode runJavaPeer} came to. */
export interface JavaPeerResult {
  /** 0 for success, 1 for a failure or a deadline passed, 2 for wrong arguments, −1 if it had to be killed. */
  code: number;
  /** What it printed, line by line. */
  lines: string[];
  /** What it complained of: stack traces. */
  stderr: string;
}

/**
 * Runs one command of the peer with the client of a version, and waits for its end.
 *
 * ```ts ignore
 * await runJavaPeer("5.3.3", ["produce", rocketmq.nameServer, "orders", "100"]);
 * const { lines } = await runJavaPeer("5.3.3", ["consume", rocketmq.nameServer, "billing", "orders", "100"]);
 * ```
 */
export async function runJavaPeer(
  version: RocketMQVersion,
  args: string[],
  options: RunJavaPeerOptions = {},
): Promise<JavaPeerResult> {
  const { timeout = 60_000, javaOptions = [], onLine, signal } = options;
  const release = await fetchRocketMQ(version);
  const folder = await mkdtemp(join(tmpdir(), "denorocket-peer-"));
  const watchdog = startWatchdog(folder);
  try {
    await mkdir(join(folder, "conf"));
    await writeFile(join(folder, logbackFile("tools")), SILENT_LOGBACK);
    const source = fileURLToPath(new URL("./Peer.java", import.meta.url));
    const flags = [...MEMORY.tools, ...QUICK_REBALANCE, `-Dpeer.deadline=${timeout}`, ...javaOptions];
    const java = [...javaArgs(release, "tools", "."), ...flags, source, ...args];
    return await run(java, folder, watchdog, timeout + GRACE, onLine, signal);
  } finally {
    await watchdog.release();
  }
}

function run(
  java: string[],
  cwd: string,
  watchdog: Watchdog,
  timeout: number,
  onLine?: (line: string) => void,
  signal?: AbortSignal,
): Promise<JavaPeerResult> {
  return new Promise((resolve, reject) => {
    const child = spawn("java", java, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    const unwatch = child.pid === undefined ? undefined : watchdog.watch(child.pid);
    const kill = () => child.kill("SIGKILL");
    const timer = setTimeout(kill, timeout);
    if (signal?.aborted) kill();
    signal?.addEventListener("abort", kill);
    const lines: string[] = [];
    let partial = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const parts = (partial + text).split("\n");
      partial = parts.pop() ?? "";
      for (const line of parts) {
        lines.push(line);
        onLine?.(line);
      }
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
    child.on("error", reject); // java could not be run at all
    child.on("close", (code) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", kill);
      unwatch?.();
      resolve({ code: code ?? -1, lines, stderr });
    });
  });
}
