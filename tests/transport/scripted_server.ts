/** A server whose every byte is a test's: for tests of what a client makes of it. */

import { type Command, type CommandInit, decodeFrame, encodeFrame, FrameReader } from "../../src/wire/frame.ts";
import { Changes } from "./waiting.ts";

/** What a server does with a request; by default nothing, as a peer does that is gone without a word. */
export type Script = (request: Command, peer: ScriptedPeer) => void;

/** How a {@linkcode ScriptedServer} behaves besides its script. */
export interface ScriptedServerOptions {
  /** The port. @default {0} */
  port?: number;
  /** Whether it reads what clients send. @default {true} */
  reads?: boolean;
  /** Is given every connection before anything is read. */
  onAccept?: (peer: ScriptedPeer) => void;
}

/** An open port on the loopback address. */
export class ScriptedServer {
  /** All connections that were accepted, in order. */
  readonly peers: ScriptedPeer[] = [];
  readonly host = "127.0.0.1";
  readonly port: number;
  #listener: Deno.TcpListener;
  #accepting: Promise<void>;
  #changes = new Changes();
  #closed = false;

  constructor(script: Script = () => {}, options: ScriptedServerOptions = {}) {
    this.#listener = Deno.listen({ hostname: this.host, port: options.port ?? 0 });
    this.port = this.#listener.addr.port;
    this.#accepting = this.#accept(script, options);
  }

  /** The `host:port` of this server. */
  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** How many connections are open. */
  get open(): number {
    return this.peers.filter((peer) => peer.isOpen).length;
  }

  /** The requests of all connections, in the order in which they came. */
  get requests(): Command[] {
    return this.peers.flatMap((peer) => peer.requests);
  }

  /** The connection of that number, as soon as it was accepted. */
  async peer(index = 0): Promise<ScriptedPeer> {
    await this.#changes.until(() => this.peers.length > index, `connection ${index} of ${this.address}`);
    return this.peers[index]!;
  }

  /** Resolves when that many requests have come, on all connections together. */
  untilRequests(count: number): Promise<void> {
    return this.#changes.until(() => this.requests.length >= count, `${count} requests at ${this.address}`);
  }

  /** Resolves when that many connections are open. */
  untilOpen(count: number): Promise<void> {
    return this.#changes.until(() => this.open === count, `${count} open connections at ${this.address}`);
  }

  /** Closes the port and all connections; may be done twice. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) this.#listener.close();
    this.#closed = true;
    for (const peer of this.peers) peer.close();
    await Promise.all([this.#accepting, ...this.peers.map((peer) => peer.finished)]);
  }

  async #accept(script: Script, options: ScriptedServerOptions): Promise<void> {
    try {
      for await (const conn of this.#listener) {
        const peer = new ScriptedPeer(conn, () => this.#changes.notify(), script);
        this.peers.push(peer);
        options.onAccept?.(peer);
        if (options.reads ?? true) peer.read();
        this.#changes.notify();
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}

/** The server's side of one connection. */
export class ScriptedPeer {
  /** The frames that have come. */
  readonly requests: Command[] = [];
  /** Resolves when the connection is closed, by either side. */
  readonly ended: Promise<void>;
  /** Resolves when nothing more is read. */
  finished: Promise<void> = Promise.resolve();
  isOpen = true;
  #conn: Deno.TcpConn;
  #changed: () => void;
  #script: Script;
  #end!: () => void;
  #writing: Promise<void> = Promise.resolve();

  constructor(conn: Deno.TcpConn, changed: () => void, script: Script) {
    conn.setNoDelay(true);
    this.#conn = conn;
    this.#changed = changed;
    this.#script = script;
    this.ended = new Promise((resolve) => this.#end = resolve);
  }

  /** Sends bytes, whatever they are; they leave after those that were sent before. */
  send(bytes: Uint8Array): void {
    this.#writing = this.#writing.then(async () => {
      for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
    }).catch(() => {}); // the client has closed: the test sees that by other means
  }

  /** Sends a request to the client. */
  ask(request: CommandInit): void {
    this.send(encodeFrame(request));
  }

  /** Answers a request: with code 0 and nothing else, by default. */
  answer(request: Command, answer: Partial<CommandInit> = {}): void {
    this.send(encodeFrame({ code: 0, flag: 1, ...answer, opaque: request.opaque }));
  }

  /** Ends the stream, after what was sent, without closing it: the client can still write. */
  closeWrite(): void {
    this.#writing = this.#writing.then(() => this.#conn.closeWrite()).catch(() => {});
  }

  /** Closes the connection. If bytes of the client have not been read, it sees a reset. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#conn.close();
    this.#end();
    this.#changed();
  }

  /** Begins to read. */
  read(): void {
    this.finished = this.#read();
  }

  async #read(): Promise<void> {
    const reader = new FrameReader((frame) => {
      if (!this.isOpen) return; // it came while this side closed
      const request = decodeFrame(frame);
      this.requests.push(request);
      this.#script(request, this);
      this.#changed();
    });
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let size = await this.#conn.read(buffer); size !== null; size = await this.#conn.read(buffer)) {
        reader.push(buffer.subarray(0, size));
      }
    } catch {
      // Closed by this side, or reset by the other.
    }
    this.close();
  }
}

let deadPort = 0;

/** An address where nobody listens: ports that small are not given away. */
export function deadAddress(): string {
  deadPort = deadPort % 6 + 1;
  return `127.0.0.1:${deadPort}`;
}

/** An address where nobody listens yet. */
export function freeAddress(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return `127.0.0.1:${listener.addr.port}`;
}
