/**
 * A Java server process that tests may kill and start again.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, closeSync, openSync, readFileSync } from "node:fs";
import process from "node:process";
import type { Watchdog } from "./watchdog.ts";

/** How long a server may take to be ready, in milliseconds. */
const START_TIMEOUT = 60_000;

/** How often a starting server is asked whether it is ready, in milliseconds. */
const POLL_INTERVAL = 100;

/** How long a server may take to end after SIGTERM, in milliseconds; then it is killed. */
const STOP_TIMEOUT = 60_000;

/** A name server or broker of a running cluster. */
export interface RealServer {
  /** The broker's name (`brokerName`), or `"namesrv"`. */
  readonly name: string;
  /** The `host:port` it listens on, the same after every start. */
  readonly address: string;
  /** The id of its process; undefined while it is not running. */
  readonly pid: number | undefined;
  /** Ends it by SIGKILL and waits for the exit: what it had not yet written to its files is lost. */
  kill(): Promise<void>;
  /**
   * Ends it by SIGTERM and waits for the exit: it takes leave of the name server and flushes its store.
   *
   * 5.3.3 takes up to 18 seconds for that, 4.9.7 up to 8: where the way out does not matter, {@linkcode kill} is quick.
   */
  stop(): Promise<void>;
  /** Stops it by SIGSTOP: it does nothing, while the system accepts connections and bytes for it. */
  pause(): void;
  /** Lets it go on, by SIGCONT, with what has arrived. Before that it can only be killed. */
  resume(): void;
  /**
   * Starts it again, on the same ports and the same store, and waits until it is ready.
   *
   * @throws {Error} If it is running, or does not become ready: the message ends with its last output.
   */
  start(): Promise<void>;
}

/** What a {@linkcode JavaServer} runs, and how it is known to be ready. */
export interface JavaServerOptions {
  name: string;
  address: string;
  /** The arguments of `java`. */
  args: string[];
  /** Environment variables on top of this process's own. */
  env: Record<string, string>;
  /** The working folder. */
  cwd: string;
  watchdog: Watchdog;
  /** The file that collects what the process prints. */
  outputFile: string;
  /** Tells whether the server can be used now; asked again and again while it starts. */
  isReady: () => Promise<boolean>;
}

/** The one implementation of {@linkcode RealServer}. */
export class JavaServer implements RealServer {
  readonly name: string;
  readonly address: string;
  readonly #options: JavaServerOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(options: JavaServerOptions) {
    this.name = options.name;
    this.address = options.address;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  pause(): void {
    this.#signal("SIGSTOP");
  }

  resume(): void {
    this.#signal("SIGCONT");
  }

  kill(): Promise<void> {
    this.#signal("SIGKILL");
    return this.#exited;
  }

  async stop(): Promise<void> {
    this.#signal("SIGTERM");
    const timer = setTimeout(() => this.#signal("SIGKILL"), STOP_TIMEOUT);
    await this.#exited;
    clearTimeout(timer);
  }

  async start(): Promise<void> {
    if (this.#child) throw new Error(`Cannot start ${this.name}: it is running as process ${this.#child.pid}`);
    this.#spawn();
    const deadline = Date.now() + START_TIMEOUT;
    while (!(await this.#options.isReady())) {
      if (!this.#child) throw new Error(`Cannot start ${this.name}: the process ended\n${this.#lastLines()}`);
      if (Date.now() > deadline) {
        await this.kill();
        throw new Error(`Cannot start ${this.name}: not ready after ${START_TIMEOUT} ms\n${this.#lastLines()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    }
  }

  /** By the process's id: a child of Deno's node:child_process takes one signal only, whichever it is. */
  #signal(signal: "SIGSTOP" | "SIGCONT" | "SIGTERM" | "SIGKILL"): void {
    try {
      if (this.pid !== undefined) process.kill(this.pid, signal);
    } catch {
      // It has just ended by itself.
    }
  }

  #spawn(): void {
    const { args, cwd, outputFile, watchdog } = this.#options;
    const output = openSync(outputFile, "a"); // a file, not a pipe: nobody has to keep reading
    const env = { ...process.env, ...this.#options.env };
    const child = spawn("java", args, { cwd, env, stdio: ["ignore", output, output] });
    closeSync(output);
    const unwatch = child.pid === undefined ? undefined : watchdog.watch(child.pid);
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      const ended = () => {
        this.#child = undefined;
        unwatch?.();
        resolve();
      };
      child.once("exit", ended);
      child.once("error", (error) => { // java could not be run at all
        appendFileSync(outputFile, `${error}`);
        ended();
      });
    });
  }

  #lastLines(): string {
    return readFileSync(this.#options.outputFile, "utf8").trimEnd().split("\n").slice(-20).join("\n");
  }
}
