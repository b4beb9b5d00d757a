/**
 * The two ids of a message, both bytes in upper-case hexadecimal.
 *
 * | id | bytes |
 * |---|---|
 * | offset id: where it is stored | store host (IP address 4 or 16, port int32), commit log offset int64 |
 * | unique key: who made it | IP address 4 or 16, process 2, class loader 4, milliseconds of the month 4, counter 2 |
 *
 * Sources: MessageDecoder, MessageClientIDSetter.
 *
 * @module
 */

import { ValidationError } from "../errors.ts";
import { formatAddress, parseAddress } from "./host.ts";

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => hexadecimal(byte, 2));

function hexadecimal(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}

/** Writes `bytes[start, end)` in upper-case hexadecimal. */
export function hexOf(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at++) text += HEX[bytes[at]!];
  return text;
}

/** What an offset id says. */
export interface OffsetMessageId {
  /** The IP address of the broker that stores the message; an IPv6 address without brackets. */
  readonly host: string;
  /** The broker's port. */
  readonly port: number;
  /** The message's position in the broker's commit log, in bytes. */
  readonly commitLogOffset: number;
}

/**
 * Writes an offset id: the id in the answer to a send, by which brokers look messages up.
 *
 * @param host an IP address, an IPv6 address without brackets
 * @throws {ValidationError} if `host` is not an IP address
 */
export function offsetMessageId(host: string, port: number, commitLogOffset: number): string {
  const address = requireAddress("write an offset message id", "host", host);
  return hexOf(address, 0, address.length) + hexadecimal(port, 8) + hexadecimal(commitLogOffset, 16);
}

/**
 * Reads an offset id.
 *
 * @throws {ValidationError} if it has not 32 or 56 hexadecimal digits, or its offset is above 2^53
 */
export function parseOffsetMessageId(id: string): OffsetMessageId {
  const parts = /^([0-9A-Fa-f]{8}|[0-9A-Fa-f]{32})([0-9A-Fa-f]{8})([0-9A-Fa-f]{16})$/.exec(id);
  const commitLogOffset = Number(`0x${parts?.[3]}`);
  if (parts === null || !Number.isSafeInteger(commitLogOffset)) {
    throw new ValidationError("read an offset message id", [{
      field: "id",
      value: id,
      allowed: "32 or 56 hexadecimal digits that end with an offset below 2^53",
    }]);
  }
  const [, host = "", port = ""] = parts;
  const address = Uint8Array.from(host.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  return { host: formatAddress(address, 0, address.length), port: parseInt(port, 16), commitLogOffset };
}

function requireAddress(action: string, field: string, text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) {
    throw new ValidationError(action, [{ field, value: text, allowed: "an IPv4 or IPv6 address" }]);
  }
  return address;
}

/** Options of {@linkcode UniqueKeys}. */
export interface UniqueKeysOptions {
  /**
   * This client's IP address.
   *
   * Without one, four bytes of the clock take its place, as in Java.
   */
  address?: string;
  /**
   * Fills an array at random.
   *
   * @default {crypto.getRandomValues}
   */
  random?: (bytes: Uint8Array<ArrayBuffer>) => void;
}

/** The bytes in which Java has the process id and the class loader's hash code, which repeat between containers. */
const RANDOM_SIZE = 6;

/** A clock may be this much before the month's beginning, in milliseconds, and still counts as at it. */
const CLOCK_TOLERANCE = 1_000_000;

/** Makes the unique keys of the messages of one producer. */
export class UniqueKeys {
  readonly #address: string;
  readonly #random: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** The part before the time. */
  #prefix = "";
  #monthStart = 0;
  #nextMonth = 0;
  /** When the last key was made, and the part before the counter that they share. */
  #lastTime = -1;
  #timePrefix = "";
  #counter = 0;
  /** All but the last two digits, which many keys share. */
  #stem = "";

  /**
   * Makes a generator. Two of them never make the same key, not even with the same address.
   *
   * @throws {ValidationError} if `options.address` is not an IP address
   */
  constructor(options: UniqueKeysOptions = {}) {
    const { address, random = (bytes) => void crypto.getRandomValues(bytes) } = options;
    if (address === undefined) this.#address = hexadecimal(Date.now() % 2 ** 32, 8);
    else {
      const bytes = requireAddress("make unique keys", "address", address);
      this.#address = hexOf(bytes, 0, bytes.length);
    }
    this.#random = random;
    this.#renew();
  }

  /** The next key: 32 digits, or 56 if the address is an IPv6 one. */
  next(): string {
    const now = Date.now();
    const isNewTime = now !== this.#lastTime;
    if (isNewTime) this.#setTime(now);
    const counter = this.#counter;
    this.#counter = (counter + 1) & 0xffff;
    const low = counter & 0xff;
    if (isNewTime || low === 0) this.#stem = this.#timePrefix + HEX[counter >>> 8];
    return this.#stem + HEX[low];
  }

  #setTime(now: number): void {
    if (now < this.#lastTime) this.#renew(); // the clock was set back: its times are repeated
    if (now >= this.#nextMonth) {
      const date = new Date(now);
      this.#monthStart = new Date(date.getFullYear(), date.getMonth(), 1).getTime();
      this.#nextMonth = new Date(date.getFullYear(), date.getMonth() + 1, 1).getTime();
    }
    const since = now - this.#monthStart;
    this.#timePrefix = this.#prefix + hexadecimal(since < 0 && since > -CLOCK_TOLERANCE ? 0 : since >>> 0, 8);
    this.#lastTime = now;
  }

  #renew(): void {
    const bytes = new Uint8Array(RANDOM_SIZE);
    this.#random(bytes);
    this.#prefix = this.#address + hexOf(bytes, 0, RANDOM_SIZE);
  }
}
