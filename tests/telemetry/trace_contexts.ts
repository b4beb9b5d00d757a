/** Trace contexts for tests. */

import type { PubContext, SubAfterContext, SubBeforeContext, TraceContext } from "../../src/telemetry/trace_records.ts";
import type { SeededRandom } from "../wire/seeded_random.ts";

/** A send. */
export function pub(some: Partial<PubContext> = {}): PubContext {
  return {
    type: "Pub",
    timestamp: 1_700_000_000_123,
    region: "DefaultRegion",
    group: "shop",
    topic: "orders",
    messageId: "7F000001000000000000000000000000",
    tags: "paid",
    keys: "42 43",
    storeHost: "10.0.0.5:10911",
    bodyLength: 128,
    cost: 7,
    messageType: 0,
    offsetMessageId: "7F00000100002A9F0000000000000000",
    success: true,
    ...some,
  };
}

/** A hand-out of two messages, of which one has a key and came back. */
export function subBefore(some: Partial<SubBeforeContext> = {}): SubBeforeContext {
  return {
    type: "SubBefore",
    timestamp: 1_700_000_000_200,
    region: "DefaultRegion",
    group: "billing",
    topic: "orders",
    requestId: "7F000001AAAA",
    messages: [{ messageId: "M1", keys: "42", retryTimes: 2 }, { messageId: "M2", keys: undefined, retryTimes: 0 }],
    ...some,
  };
}

/** The outcome of the same hand-out. */
export function subAfter(some: Partial<SubAfterContext> = {}): SubAfterContext {
  const { requestId, group, topic, messages } = subBefore();
  return {
    type: "SubAfter",
    timestamp: 1_700_000_000_300,
    group,
    topic,
    requestId,
    messages,
    cost: 50,
    success: false,
    code: 4,
    ...some,
  };
}

/** Any context. */
export function randomContext(random: SeededRandom): TraceContext {
  const text = () => random.text(12);
  const keys = () => random.pick([undefined, "42", "a b", text().trim() || undefined]);
  const messages = Array.from({ length: 1 + random.below(4) }, () => ({
    messageId: random.text(32) || "M",
    keys: keys(),
    retryTimes: random.below(17),
  }));
  const shared = {
    timestamp: random.below(2 ** 31) * 1_000,
    group: text(),
    topic: text(),
    requestId: text(),
    messages,
    cost: random.below(100_000),
    success: random.below(2) === 0,
  };
  switch (random.below(3)) {
    case 0:
      return pub({
        ...shared,
        messageId: messages[0]!.messageId,
        tags: random.pick([undefined, text()]),
        keys: keys(),
        storeHost: text(),
        bodyLength: random.below(1e7),
        messageType: random.pick([0, 1, 2, 3, 4]),
        offsetMessageId: random.pick([undefined, text()]),
      });
    case 1:
      return subBefore({ ...shared, region: text() });
    default:
      return subAfter({ ...shared, code: random.pick([0, 1, 2, 3, 4]) });
  }
}
