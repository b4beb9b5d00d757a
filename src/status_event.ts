/**
 * The types of what a client reports about itself: events, and who takes their log lines.
 *
 * @module
 */

import type { MessageQueue } from "./message.ts";

/**
 * How much an event matters. Warnings, errors and recoveries go to the logger as well.
 *
 * @category Start
 */
export type StatusLevel = "info" | "warning" | "error";

/**
 * What an event may be about. {@linkcode StatusEventFields} says which types always have which of these.
 *
 * @category Start
 */
export interface StatusEventPlace {
  /** The consumer or producer group, where one is concerned. */
  readonly group?: string;
  /** The broker's name or address, where one is concerned. */
  readonly broker?: string;
  /** The topic, where one is concerned. */
  readonly topic?: string;
  /** The queue, where one is concerned. */
  readonly queue?: MessageQueue;
  /** The offset, where one is concerned: where a queue goes on, or which message it is about. */
  readonly offset?: number;
  /** The error behind it; its innermost cause is in the text. */
  readonly error?: unknown;
}

/**
 * What every event has.
 *
 * @category Start
 */
export interface StatusEventBase extends StatusEventPlace {
  /** How much it matters. */
  readonly level: StatusLevel;
  /** When, by this process's clock. */
  readonly at: Date;
  /**
   * The event in words: one line, of 2 000 characters at most, with the innermost cause. What is not to be printed in it
   * is escaped.
   */
  readonly text: string;
  /**
   * How many more events of this type about the same group, broker and queue were left out since the one before: of
   * more than 10 in a second the last is delivered when the second is over. Missing where none was left out.
   */
  readonly repeated?: number;
}

/**
 * Places that an event always has.
 *
 * @category Start
 */
export type StatusEventWith<K extends keyof StatusEventPlace = never> = {
  readonly [P in K]-?: Exclude<StatusEventPlace[P], undefined>;
};

/**
 * The types of events, and what an event of each type always has beside {@linkcode StatusEventBase}.
 *
 * @category Start
 */
export interface StatusEventFields {
  /** A connection to a broker was opened. */
  connected: StatusEventWith<"broker">;
  /** A connection was lost, or a heartbeat or the refresh of a route failed. */
  disconnected: StatusEventWith;
  /** Queues or addresses of a topic changed. */
  routeChanged: StatusEventWith<"topic">;
  /** A route leaves something out; at the level info it is complete again. */
  partialRoute: StatusEventWith<"topic">;
  /** A route could not be read; at the level info it can be read again. */
  brokenRoute: StatusEventWith<"topic">;
  /** No name server knows a topic. */
  missingTopic: StatusEventWith<"topic">;
  /** Queues were assigned or revoked. */
  rebalanced: StatusEventWith<"group"> & {
    /** The queues that were assigned. */
    readonly gained: readonly MessageQueue[];
    /** The queues that were revoked. */
    readonly lost: readonly MessageQueue[];
  };
  /** A broker asks for fewer requests. */
  throttled: StatusEventWith<"group" | "broker">;
  /** Something does not go on. */
  stalled: StatusEventWith;
  /** A broker has recovered, or what stood still goes on. */
  revived: StatusEventWith;
  /** The offset of a queue was reset by an operator. */
  offsetReset: StatusEventWith<"group" | "queue" | "broker" | "offset">;
  /** A queue goes on at another offset, as its broker does not have the one it was at. */
  offsetJumped: StatusEventWith<"group" | "queue" | "broker" | "offset">;
  /** A broadcasting consumer keeps its offsets in memory only. */
  offsetsInMemory: StatusEventWith<"group">;
  /** Offsets could not be stored. */
  commitFailed: StatusEventWith<"group">;
  /** A message could not be retried or dead-lettered yet. */
  sendBackFailed: StatusEventWith<"group">;
  /** A message popped could not be acknowledged. */
  ackFailed: StatusEventWith<"group">;
  /** A handler failed; its reason is in the text. */
  handlerFailed: StatusEventWith<"group" | "topic" | "error">;
  /** An observer failed. */
  observerFailed: StatusEventWith;
  /** A message was skipped. */
  skipped: StatusEventWith<"group" | "topic" | "queue" | "broker" | "offset">;
  /** A message was dead-lettered. */
  deadLettered: StatusEventWith<"group">;
  /** The lock of a queue was lost. */
  lockLost: StatusEventWith<"group" | "queue" | "broker">;
  /** Members of the group subscribe to different topics or filters. */
  mixedSubscriptions: StatusEventWith<"group">;
  /** Another member of the group has the same client id. */
  duplicateClientId: StatusEventWith<"group">;
  /** A record cannot be decoded. */
  broken: StatusEventWith<"group">;
  /** `close()` waits for what is in flight; at the level warning for longer than a second. */
  closing: StatusEventWith<"group">;
  /** The wait of `close()` is over; at the level warning something was given up, and is redelivered. */
  closed: StatusEventWith<"group">;
  /** A reader of `status()` was too slow, or trace records were dropped. */
  lost: StatusEventWith;
}

/**
 * What happened.
 *
 * @category Start
 */
export type StatusEventType = keyof StatusEventFields;

/**
 * One event of a client or of one of its consumers: `type` says which fields it has.
 *
 * @category Start
 */
export type StatusEvent = {
  [T in StatusEventType]: StatusEventBase & StatusEventFields[T] & {
    /** What happened. */
    readonly type: T;
  };
}[StatusEventType];

/** What whoever emits an event says besides its type, level and text. */
export type EventDetails<T extends StatusEventType> = StatusEventPlace & StatusEventFields[T];

/** Makes an event. The compiler cannot see that the details of a type and that type are one of the union: we can. */
export function statusEvent<T extends StatusEventType>(
  level: StatusLevel,
  type: T,
  text: string,
  details: EventDetails<T>,
): StatusEvent {
  const about: StatusEventPlace = details;
  const base: StatusEventBase = { ...about, level, text, at: new Date() };
  const event = { ...base, type };
  return event as StatusEvent;
}

/**
 * Takes warnings, errors and recoveries, whether or not `status()` is read; `console` fits. Lines of one type about one
 * group and broker, or topic, are written at most once a minute, with the number of those that were left out. Each line
 * is complete: what happened, where, the innermost cause. What it throws, or rejects with, is ignored.
 *
 * @category Start
 */
export interface Logger {
  /** Something is in order again. @default {lines go to `warn`} */
  info?(text: string): void;
  /** Something is not as it should be, and is being dealt with. */
  warn(text: string): void;
  /** Something failed. */
  error(text: string): void;
}
