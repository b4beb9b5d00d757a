/**
 * Calling the observers of a producer's sends, whatever they do.
 *
 * @module
 */

import type { EventHub } from "../events.ts";
import { inBackground, isPromise, notAPromise } from "../owned_work.ts";
import type { AttemptObserver, SendAttempt } from "../sending/attempt_observer.ts";
import type { SendReceipt } from "../sending/receipt.ts";
import type { ObservedSend, ProducerObserver, SendEnd, SendListener } from "../telemetry/producer_observer.ts";
import type { EncodedMessage } from "./encoding.ts";
import { ExtendableMessage } from "./observed_message.ts";
import type { OutgoingMessage } from "./outgoing.ts";
import { SendBatchError } from "./send_batch_error.ts";
import type { CheckedSendOptions } from "./send_options.ts";

/** Receives what an observer's function has thrown. */
type ReportFailure = (error: unknown) => void;

/** The observers of one producer, of which there is at least one. */
export class SendObservers {
  #observers: readonly ProducerObserver[];
  #group: string;
  #report: ReportFailure;

  /** Makes them for a producer of a group. */
  constructor(observers: readonly ProducerObserver[], group: string, events: EventHub) {
    this.#observers = observers;
    this.#group = group;
    this.#report = events.failureOf("observerFailed", "an observer of sends", { group });
  }

  /**
   * Calls the observers before a send.
   *
   * @param messages the messages, which are valid
   * @param encoded the same ones
   * @param fits whether a message with more properties can still be sent
   */
  begin(
    method: ObservedSend["method"],
    messages: readonly OutgoingMessage[],
    encoded: readonly EncodedMessage[],
    { orderingKey, delayLevel }: CheckedSendOptions,
    fits: (message: EncodedMessage) => boolean,
  ): SendObservation {
    const extendable = messages.map((message, i) => new ExtendableMessage(message, encoded[i]!, fits));
    const send = { method, group: this.#group, startTime: now(), messages: extendable, orderingKey, delayLevel };
    const listeners: SendListener[] = [];
    for (const observer of this.#observers) {
      try {
        const listener = notAPromise(observer.onSend?.(send), "onSend");
        if (typeof listener === "object" && listener !== null) listeners.push(listener);
        for (const message of extendable) message.keep();
      } catch (error) {
        this.#report(error);
        for (const message of extendable) message.discard();
      }
    }
    for (const message of extendable) message.seal();
    return new SendObservation(extendable.map((message) => message.encoded), listeners, this.#report);
  }
}

/** One send that is observed. */
export class SendObservation implements AttemptObserver {
  /** The messages with the properties that observers have added. */
  readonly messages: readonly EncodedMessage[];
  #listeners: readonly SendListener[];
  #report: ReportFailure;
  #isOver = false;

  /** Makes one for the listeners that observers have returned. */
  constructor(messages: readonly EncodedMessage[], listeners: readonly SendListener[], report: ReportFailure) {
    this.messages = messages;
    this.#listeners = listeners;
    this.#report = report;
  }

  attempted(attempt: SendAttempt): void {
    if (!this.#isOver) this.#each((listener) => listener.onAttempt?.(attempt));
  }

  /** Reports success; without receipts after a one-way send. */
  succeeded(receipts: readonly (SendReceipt | undefined)[] = this.#noReceipts()): void {
    this.#end({ endTime: now(), receipts, error: undefined });
  }

  /** Reports failure. */
  failed(error: unknown): void {
    const receipts = error instanceof SendBatchError ? error.receipts : this.#noReceipts();
    this.#end({ endTime: now(), receipts, error });
  }

  #noReceipts(): readonly undefined[] {
    return this.messages.map(() => undefined);
  }

  #end(end: SendEnd): void {
    this.#isOver = true;
    this.#each((listener) => listener.onEnd?.(end));
  }

  #each(call: (listener: SendListener) => unknown): void {
    for (const listener of this.#listeners) {
      try {
        const result = call(listener);
        if (isPromise(result)) inBackground(Promise.resolve(result), this.#report);
      } catch (error) {
        this.#report(error);
      }
    }
  }
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
