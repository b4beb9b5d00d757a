/**
 * A message as observers see it before it is sent.
 *
 * @module
 */

import { ValidationError } from "../errors.ts";
import type { ObservedMessage } from "../telemetry/producer_observer.ts";
import { parseProperties, propertyPair } from "../wire/properties.ts";
import { utf8Length } from "../wire/utf8.ts";
import type { EncodedMessage } from "./encoding.ts";
import { propertyProblem } from "./message_check.ts";
import { JsonBody, type OutgoingMessage } from "./outgoing.ts";

/** A message and the properties that observers add to it. */
export class ExtendableMessage implements ObservedMessage {
  #message: OutgoingMessage;
  #fits: (message: EncodedMessage) => boolean;
  /** With the properties of all observers that have returned. */
  #encoded: EncodedMessage;
  /** With those of the observer that is running, too. */
  #draft: EncodedMessage;
  #isSealed = false;

  /** Makes it of a valid message; `fits` returns whether one with more properties can still be sent. */
  constructor(message: OutgoingMessage, encoded: EncodedMessage, fits: (message: EncodedMessage) => boolean) {
    this.#message = message;
    this.#fits = fits;
    this.#encoded = this.#draft = encoded;
  }

  /** The message with the properties that observers have added. */
  get encoded(): EncodedMessage {
    return this.#encoded;
  }

  get topic(): string {
    return this.#encoded.topic;
  }

  get messageId(): string {
    return this.#encoded.messageId;
  }

  get tags(): string | undefined {
    return this.#message.tags;
  }

  get keys(): readonly string[] {
    const { keys = [] } = this.#message;
    return typeof keys === "string" ? [keys] : [...keys];
  }

  get bodySize(): number {
    const { body } = this.#message;
    if (typeof body === "string") return utf8Length(body);
    return body instanceof JsonBody ? utf8Length(body.text) : body.length;
  }

  property(name: string): string | undefined {
    return parseProperties(this.#draft.properties).get(name);
  }

  addProperty(name: string, value: string): boolean {
    if (this.#isSealed) throw new TypeError("Cannot add a property: onSend has returned");
    const allowed = propertyProblem(name, value);
    if (allowed !== undefined) throw notAdded(`properties.${name}`, value, allowed);
    if (this.property(name) !== undefined) return false;
    const pair = propertyPair(name, value);
    const { properties, propertiesSize } = this.#draft;
    // In front of the others: RocketMQ's own stay last, where consumers look first.
    const draft = { ...this.#draft, properties: pair + properties, propertiesSize: propertiesSize + utf8Length(pair) };
    if (!this.#fits(draft)) throw notAdded("the size of all properties", draft.propertiesSize, "a smaller size");
    this.#draft = draft;
    return true;
  }

  /** Keeps what the last observer has added. */
  keep(): void {
    this.#encoded = this.#draft;
  }

  /** Discards what the last observer has added. */
  discard(): void {
    this.#draft = this.#encoded;
  }

  /** Takes no more properties. */
  seal(): void {
    this.#isSealed = true;
  }
}

function notAdded(field: string, value: unknown, allowed: string): ValidationError {
  return new ValidationError("add a property", [{ field, value, allowed }]);
}
