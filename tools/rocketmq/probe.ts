/**
 * Questions to ask a port: is it free, does it accept, which brokers does the name server behind it know.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect, createServer } from "node:net";

/** Where everything listens: nothing outside this machine can reach it. */
export const HOST = "127.0.0.1";

/** Ports are taken from below Linux's ephemeral range, so that no outgoing connection steals a stopped server's. */
const LOWEST_PORT = 15_000;
const HIGHEST_PORT = 32_000;

/** How long a local server may take to answer one question, in milliseconds. */
const ANSWER_TIMEOUT = 2_000;

const GET_BROKER_CLUSTER_INFO = 106;
const UPDATE_BROKER_CONFIG = 25;

/**
 * Finds `count` neighbouring ports that are free now.
 *
 * @returns The lowest of them.
 */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const first = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT - count));
    const ports = Array.from({ length: count }, (_, index) => first + index);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`Cannot find ${count} neighbouring free ports between ${LOWEST_PORT} and ${HIGHEST_PORT}`);
}

/** Whether a server accepts connections on a port of this machine. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST);
    let accepted = false;
    socket.setTimeout(ANSWER_TIMEOUT, () => socket.destroy());
    socket.on("connect", () => {
      accepted = true;
      socket.destroy();
    });
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => resolve(accepted));
  });
}

/**
 * Asks the name server on a port for the brokers it knows.
 *
 * @returns The answer's body, a ClusterInfo in Java's JSON (its numeric keys have no quotes); empty without an answer.
 */
export function clusterInfo(port: number): Promise<string> {
  return ask(port, GET_BROKER_CLUSTER_INFO, "");
}

/** Makes the broker on a port register with its name server now, as it does whenever its permission is set. */
export async function registerNow(port: number): Promise<void> {
  await ask(port, UPDATE_BROKER_CONFIG, "brokerPermission=6");
}

/** Sends one request on a connection of its own and returns the answer's body. */
function ask(port: number, code: number, body: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST, () => socket.write(frame(code, body)));
    let received = Buffer.alloc(0);
    let answer = "";
    socket.setTimeout(ANSWER_TIMEOUT, () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 8 || received.length < 4 + received.readInt32BE(0)) return;
      answer = received.toString("utf8", 8 + received.readUIntBE(5, 3), 4 + received.readInt32BE(0));
      socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
  });
}

/** A remoting frame: the length of what follows, the header's length, a JSON header, the body. */
function frame(code: number, body: string): Buffer {
  const header = JSON.stringify({ code, language: "OTHER", version: 0, opaque: 1, flag: 0, extFields: {} });
  const text = Buffer.from(header + body);
  const lengths = Buffer.alloc(8);
  lengths.writeInt32BE(4 + text.length, 0);
  lengths.writeInt32BE(header.length, 4);
  return Buffer.concat([lengths, text]);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}
