/**
 * A last step before a frame is written: adds header fields, such as a signature.
 *
 * @module
 */

import { bodyBytes, type WritableCommand } from "../wire/frame_writer.ts";
import { NO_FIELDS } from "../wire/json_fields.ts";
import type { WireHeader } from "../wire/wire_header.ts";

/** A request or reply that is about to be written. */
export interface OutgoingFrame {
  /** The request's code, or the response code of a reply. */
  readonly code: number;
  /** The header fields. */
  readonly fields: WireHeader;
  /** The bytes of the body; empty if there is none. */
  readonly body: Uint8Array;
}

/**
 * Returns the header with which a frame is written. It is called once for each time a frame is written, in the order of
 * the frames, so also for each attempt of a request. What it throws fails that request alone.
 */
export type PrepareStep = (frame: OutgoingFrame) => WireHeader;

/** A frame with the header that a step returns. A body is written once, into the bytes that the step is called with. */
export function prepared(command: WritableCommand, step: PrepareStep): WritableCommand {
  const { code, fields = NO_FIELDS } = command;
  const body = bodyBytes(command.body);
  return { ...command, body, fields: step({ code, fields, body }) };
}
