/**
 * One connection that speaks raw requests: how scenarios look at a server past the client under test.
 *
 * @module
 */

import { Connection } from "../../src/transport/connection.ts";
import { parseAddress, type Transport } from "../../src/transport/transport.ts";
import type { HeaderOf } from "../../src/wire/fields.ts";
import type { Command } from "../../src/wire/frame.ts";
import { JsonFields } from "../../src/wire/json_fields.ts";
import type { RequestSpec } from "../../src/wire/requests.ts";

/** How long an answer may take, in milliseconds. */
const ANSWER_TIMEOUT = 10_000;

const encoder = new TextEncoder();

/** A connection to one server, opened at the first request and again after it broke. */
export class RawPeer {
  readonly address: string;
  #transport: Transport;
  #opening: Promise<Connection> | undefined;

  constructor(transport: Transport, address: string) {
    this.#transport = transport;
    this.address = address;
  }

  /** Sends a request of the table, or one by its code, and gives the answer, whatever its code. */
  async ask<S extends Pick<RequestSpec, "name" | "code" | "header">>(
    spec: S,
    header: HeaderOf<S["header"]>,
    body?: Uint8Array | string,
  ): Promise<Command> {
    const connection = await this.#open();
    const { name, code } = spec;
    const fields = JsonFields.of<S["header"]>(spec.header, header);
    const bytes = typeof body === "string" ? encoder.encode(body) : body;
    return await connection.request({ name, code, fields, body: bytes }, { timeout: ANSWER_TIMEOUT });
  }

  /** As {@linkcode ask}, but any answer other than a success is an error. */
  async askWell<S extends Pick<RequestSpec, "name" | "code" | "header">>(
    spec: S,
    header: HeaderOf<S["header"]>,
    body?: Uint8Array | string,
  ): Promise<Command> {
    const answer = await this.ask(spec, header, body);
    if (answer.code === 0) return answer;
    throw new Error(`${spec.name} on ${this.address}: ${answer.code} ${answer.remark ?? ""}`);
  }

  /** Resolves when the server accepts a connection. */
  async accepts(): Promise<boolean> {
    try {
      await this.#open();
      return true;
    } catch {
      return false;
    }
  }

  /** Closes the connection. */
  async close(): Promise<void> {
    const connection = await this.#opening?.catch(() => undefined);
    connection?.close();
  }

  async #open(): Promise<Connection> {
    const connection = await this.#opening?.catch(() => undefined);
    if (connection?.isOpen) return connection;
    this.#opening = this.#connect();
    return await this.#opening;
  }

  async #connect(): Promise<Connection> {
    const { host, port } = parseAddress(this.address)!;
    const socket = await this.#transport.connect(host, port, { signal: new AbortController().signal });
    return new Connection(socket, this.address);
  }
}

/** The body of a heartbeat by which a client is a member of a group. */
export function memberOf(group: string, clientID: string): string {
  return JSON.stringify({
    clientID,
    producerDataSet: [],
    consumerDataSet: [{
      groupName: group,
      consumeType: "CONSUME_PASSIVELY",
      messageModel: "CLUSTERING",
      consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
      subscriptionDataSet: [],
      unitMode: false,
    }],
  });
}
