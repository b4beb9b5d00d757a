/**
 * The fastest way to send that there is: frames that were made before, and answers of which only the length is read.
 *
 * @module
 */

import type { Connection } from "../src/transport/connection.ts";
import { parseAddress } from "../src/transport/transport.ts";
import { encodeBatch } from "../src/wire/batch.ts";
import { FrameFlag } from "../src/wire/codes.ts";
import { decodeHeader, encodeHeader, type HeaderOf } from "../src/wire/fields.ts";
import { encodeFrame, FrameReader } from "../src/wire/frame.ts";
import { UniqueKeys } from "../src/wire/message_id.ts";
import { createTopic, getMaxOffset, type RequestSpec, sendBatch, sendMessage } from "../src/wire/requests.ts";

/** What frames hold: one message each, the same without an answer, or several. */
export type Prepared = "single" | "oneway" | "batch";

/** After how many milliseconds without a change a broker is taken to have stored all that it will. */
const QUIET = 1_000;

/** What is sent. */
export interface Load {
  /** The topic. */
  readonly topic: string;
  /** How many queues it has; frames take them in turn. */
  readonly queues: number;
  /** The body of every message. */
  readonly body: Uint8Array;
  /** How many messages are in a batch. */
  readonly perBatch: number;
}

/** Frames that stand behind each other. */
interface Frames {
  readonly bytes: Uint8Array;
  /** Where each frame ends. */
  readonly ends: readonly number[];
  readonly messagesEach: number;
  readonly answered: boolean;
}

/** A socket to a broker without anything between. */
export class Ceiling {
  #conn: Deno.TcpConn;
  #load: Load;
  #keys = new UniqueKeys();
  #buffer = new Uint8Array(256 * 1024);
  #answers = 0;
  #reader = new FrameReader(() => this.#answers++, { inPlace: true });

  private constructor(conn: Deno.TcpConn, load: Load) {
    this.#conn = conn;
    this.#load = load;
  }

  /** Connects to a broker. */
  static async open(address: string, load: Load): Promise<Ceiling> {
    const { host, port } = parseAddress(address)!;
    const conn = await Deno.connect({ hostname: host, port });
    conn.setNoDelay(true);
    return new Ceiling(conn, load);
  }

  /** Makes the frames of that many messages, in one piece of memory: a heap full of frames would cost us time too. */
  prepare(prepared: Prepared, messages: number): Frames {
    const messagesEach = prepared === "batch" ? this.#load.perBatch : 1;
    const ends: number[] = [];
    let bytes = new Uint8Array(0);
    let end = 0;
    for (let number = 0; number * messagesEach < messages; number++) {
      const frame = this.#frame(prepared, number);
      if (number === 0) bytes = new Uint8Array((frame.length + 32) * Math.ceil(messages / messagesEach)); // longer numbers
      bytes.set(frame, end);
      ends.push(end += frame.length);
    }
    return { bytes, ends, messagesEach, answered: prepared !== "oneway" };
  }

  /** Sends them, so many frames at a time as answers allow; gives how many messages were sent. */
  async send({ bytes, ends, messagesEach, answered }: Frames, inFlight: number): Promise<number> {
    this.#answers = 0;
    let sent = 0;
    const upTo = async (count: number) => {
      const last = Math.min(count, ends.length);
      if (last === sent) return;
      const start = ends[sent - 1] ?? 0;
      sent = last;
      await this.#write(bytes.subarray(start, ends[last - 1]));
    };
    if (!answered) {
      while (sent < ends.length) await upTo(sent + inFlight);
      return sent * messagesEach;
    }
    await upTo(inFlight);
    while (this.#answers < ends.length) {
      const size = await this.#conn.read(this.#buffer);
      if (size === null) throw new RangeError("the broker hung up");
      this.#reader.push(this.#buffer.subarray(0, size));
      await upTo(this.#answers + inFlight);
    }
    return sent * messagesEach;
  }

  /** Closes the socket. */
  close(): void {
    this.#conn.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }

  #frame(prepared: Prepared, number: number): Uint8Array {
    const { topic, queues, body, perBatch } = this.#load;
    const spec = prepared === "batch" ? sendBatch : sendMessage;
    const properties = () => `UNIQ_KEY\u0001${this.#keys.next()}\u0002WAIT\u0001true\u0002`;
    const fields = encodeHeader(spec.header, {
      producerGroup: "bench",
      topic,
      defaultTopic: "TBW102",
      defaultTopicQueueNums: 4,
      queueId: number % queues,
      sysFlag: 0,
      bornTimestamp: Date.now(),
      flag: 0,
      properties: prepared === "batch" ? "WAIT\u0001true\u0002" : properties(),
      reconsumeTimes: 0,
      unitMode: false,
      batch: prepared === "batch",
      brokerName: "broker-a",
    });
    return encodeFrame({
      code: spec.code,
      opaque: number,
      flag: prepared === "oneway" ? FrameFlag.ONEWAY : 0,
      fields,
      body: prepared === "batch"
        ? encodeBatch(Array.from({ length: perBatch }, () => ({ flag: 0, body, properties: properties() })))
        : body,
    });
  }
}

/** What the broker has stored, by requests of its own. */
export class Ledger {
  #connection: Connection;
  #topic: string;
  #queues: number;

  /** Takes a connection to the broker, and the topic to look at. */
  constructor(connection: Connection, topic: string, queues: number) {
    this.#connection = connection;
    this.#topic = topic;
    this.#queues = queues;
  }

  /** Makes the topic. */
  async createTopic(): Promise<void> {
    await this.#call(createTopic, {
      topic: this.#topic,
      defaultTopic: "TBW102",
      readQueueNums: this.#queues,
      writeQueueNums: this.#queues,
      perm: 6,
      topicFilterType: "SINGLE_TAG",
      order: false,
    });
  }

  /** How many messages are stored. */
  async stored(): Promise<number> {
    const offsets = await Promise.all(Array.from({ length: this.#queues }, (_, queueId) => this.#maxOffset(queueId)));
    return offsets.reduce((sum, offset) => sum + offset, 0);
  }

  /** How many messages are stored when it is as many as expected, or no more are being stored; and since when. */
  async settled(expected: number): Promise<{ stored: number; at: number }> {
    let [stored, at] = [await this.stored(), performance.now()];
    while (stored < expected && performance.now() - at < QUIET) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const now = await this.stored();
      if (now !== stored) [stored, at] = [now, performance.now()];
    }
    return { stored, at };
  }

  /** Closes the connection. */
  close(): void {
    this.#connection.close();
  }

  async #maxOffset(queueId: number): Promise<number> {
    const answer = await this.#call(getMaxOffset, { topic: this.#topic, queueId });
    return decodeHeader(getMaxOffset.answer, answer.fields, "max offset").offset;
  }

  #call<S extends RequestSpec>(spec: S, header: HeaderOf<S["header"]>) {
    const fields = encodeHeader<S["header"]>(spec.header, header);
    return this.#connection.request({ name: spec.name, code: spec.code, fields }, { timeout: 30_000 });
  }
}
