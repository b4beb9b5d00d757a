/**
 * The benchmark's ceiling: pulls or sends frames that were prepared before, over one raw socket, and decodes nothing.
 * It counts answers and the bytes in them.
 *
 * @module
 */

import { runProgram, Span, unsupported } from "./program.ts";
import { FrameCounter, RawSocket } from "./raw_socket.ts";
import { pullFrame, sendFrame } from "./requests.ts";
import type { Outcome, Work } from "./work.ts";

await runProgram({ consume, pull: consume, send });

/** Pulls every queue from its beginning to its end; as many pulls are on their way as there are queues. */
async function consume(work: Work): Promise<Outcome> {
  const { queues, count, pullBatch, recordBytes } = work;
  const perQueue = count / queues;
  const frames: Uint8Array[] = [];
  for (let offset = 0; offset < perQueue; offset += pullBatch) {
    for (let queueId = 0; queueId < queues; queueId++) frames.push(pullFrame(work, frames.length, queueId, offset));
  }
  const { figures, bodyBytes } = await exchange(work, frames, queues);
  return { count, distinct: bodyBytes / recordBytes, ...figures };
}

async function send(work: Work): Promise<Outcome> {
  if (work.linger > 0) return unsupported("linger");
  // A broker does not mind if messages are the same, so one frame for each queue is enough.
  const frames = Array.from({ length: work.queues }, (_, queueId) => sendFrame(work, queueId, queueId, queueId));
  const repeated = (count: number) =>
    Array.from({ length: Math.ceil(count / work.batch) }, (_, i) => frames[i % frames.length]!);
  if (work.oneway) return await sendOneway(work, repeated(work.warmUp + work.count));
  const warmUp = repeated(work.warmUp);
  if (warmUp.length > 0) await exchange(work, warmUp, work.inFlight);
  const startedAt = Date.now();
  const { figures } = await exchange(work, repeated(work.count), work.inFlight);
  return { count: work.count, distinct: work.count, ...figures, startedAt };
}

/** Writes all frames, `inFlight` of them before the first answer and one more with each; waits for all answers. */
async function exchange(work: Work, frames: readonly Uint8Array[], inFlight: number) {
  const socket = await RawSocket.open(work.broker);
  const span = new Span();
  const times = new Float64Array(frames.length);
  let sent = 0;
  let answered = 0;
  let hasBegun = work.kind === "send";
  const sendNext = () => {
    times[sent] = performance.now();
    socket.write(frames[sent++]!);
  };
  const counter = new FrameCounter(() => {
    if (!hasBegun) span.begin();
    hasBegun = true;
    times[answered] = performance.now() - times[answered]!;
    answered++;
    if (sent < frames.length) sendNext();
  });
  span.begin();
  while (sent < Math.min(inFlight, frames.length)) sendNext();
  await socket.read((bytes) => {
    counter.push(bytes);
    return answered === frames.length;
  });
  span.end();
  times.sort();
  const p99 = times[Math.floor(times.length * 0.99)]!;
  const p50 = times[Math.floor(times.length / 2)]!;
  return { figures: { ...span.figures, p50, p99 }, bodyBytes: counter.bodyBytes };
}

/** Writes frames that nobody answers, a hundred at a time. */
async function sendOneway(work: Work, frames: readonly Uint8Array[]): Promise<Outcome> {
  const socket = await RawSocket.open(work.broker);
  const span = new Span();
  let startedAt = Date.now();
  for (let at = 0; at < frames.length; at++) {
    if (at === work.warmUp) {
      startedAt = Date.now();
      span.begin();
    }
    socket.write(frames[at]!);
    if (at % 100 === 99) await socket.drained();
  }
  await socket.drained();
  span.end();
  return { count: work.count, distinct: work.count, ...span.figures, startedAt };
}
