/**
 * The benchmark's bare loop: pulls all queues over one raw socket and decodes everything with our codec, but keeps no
 * offsets, has no limits, no batches and no handlers. It is what this runtime allows.
 *
 * @module
 */

import { decodeHeader } from "../../src/wire/fields.ts";
import { decodeFrame, FrameReader } from "../../src/wire/frame.ts";
import { decodeRecords } from "../../src/wire/record.ts";
import { pullMessage } from "../../src/wire/requests.ts";
import { idle, Reception, runProgram } from "./program.ts";
import { RawSocket } from "./raw_socket.ts";
import { pullFrame } from "./requests.ts";
import type { Outcome, Work } from "./work.ts";

/** How long a broker may hold an idle pull, in milliseconds: our consumer's default. */
const HOLD = 15_000;

await runProgram({ consume, pull: consume, idle: wait });

async function consume(work: Work): Promise<Outcome> {
  const reception = new Reception(work);
  const { ledger } = reception;
  const socket = await RawSocket.open(work.broker);
  const reader = new FrameReader((bytes) => {
    const { opaque: queueId, fields, body } = decodeFrame(bytes);
    const { nextBeginOffset, maxOffset } = decodeHeader(pullMessage.answer, fields, "a pull's answer");
    if (nextBeginOffset < maxOffset) socket.write(pullFrame(work, queueId, queueId, nextBeginOffset));
    const { messages } = decodeRecords(body, { topic: work.topic, broker: "", queueId });
    for (const message of messages) ledger.add(message.text());
  });
  for (let queueId = 0; queueId < work.queues; queueId++) socket.write(pullFrame(work, queueId, queueId, 0));
  await socket.read((bytes) => {
    reader.push(bytes);
    return ledger.isFull;
  });
  return reception.outcome();
}

async function wait(work: Work): Promise<Outcome> {
  const socket = await RawSocket.open(work.broker);
  const reader = new FrameReader((bytes) => {
    const { opaque: queueId, fields } = decodeFrame(bytes);
    const { nextBeginOffset } = decodeHeader(pullMessage.answer, fields, "a pull's answer");
    socket.write(pullFrame(work, queueId, queueId, nextBeginOffset, HOLD));
  });
  for (let queueId = 0; queueId < work.queues; queueId++) socket.write(pullFrame(work, queueId, queueId, 0, HOLD));
  socket.read((bytes) => {
    reader.push(bytes);
    return false;
  });
  return idle;
}
