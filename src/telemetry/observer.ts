/**
 * What `connect()` takes as an observer.
 *
 * @module
 */

import type { ProducerObserver } from "./producer_observer.ts";

/** Observes a client: the sends of its producers. All functions are optional. */
export type Observer = ProducerObserver;

/** The functions of an {@linkcode Observer}. */
export const OBSERVER_FUNCTIONS: readonly (keyof Observer)[] = ["onSend"];
