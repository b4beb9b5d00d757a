/**
 * What messages are ordered by.
 *
 * @module
 */

import type { EventHub } from "../events.ts";
import { queueKey } from "../message.ts";
import { notAPromise } from "../owned_work.ts";
import { shown } from "../plain_text.ts";
import type { CheckedConsumerOptions } from "./options_check.ts";
import type { KeyOf } from "./queue/key_order.ts";

/**
 * The key of each message: one for all in orderly consumption, the user's in consumption by key; undefined where
 * nothing is ordered. A message whose key cannot be computed is one without a key.
 */
export function orderingKeyOf<T>(options: CheckedConsumerOptions, events: EventHub): KeyOf<T> | undefined {
  const { ordering, orderingKey, group } = options;
  if (ordering === "concurrent") return undefined;
  if (ordering === "orderly") return () => "";
  return (message) => {
    try {
      const key = orderingKey(message) ?? "";
      if (typeof key === "string") return key;
      throw new TypeError(`it has returned ${shown(notAPromise(key, "orderingKey"))}, allowed is a text`);
    } catch (error) {
      const { topic, queue, queueOffset: offset } = message;
      const text = `orderingKey failed for a message of ${queueKey(queue)}, which is taken as one without a key`;
      events.emit("error", "handlerFailed", text, { group, topic, queue, broker: queue.broker, offset, error });
      return "";
    }
  };
}
