/**
 * What `connect()` takes as an observer.
 *
 * @module
 */

import type { ConsumerObserver } from "./consumer_observer.ts";
import type { ProducerObserver } from "./producer_observer.ts";

/**
 * Observes a client: the sends of its producers, the deliveries of its consumers. All functions are optional.
 *
 * @category Advanced
 */
export interface Observer extends ProducerObserver, ConsumerObserver {}

/** The functions of an {@linkcode Observer}. */
export const OBSERVER_FUNCTIONS: readonly (keyof Observer)[] = ["onSend", "onDeliver"];
