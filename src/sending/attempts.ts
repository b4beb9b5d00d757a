/**
 * Making one attempt of a send: with an answer, or one-way.
 *
 * @module
 */

import type { BrokerHealth } from "../cluster/broker_health.ts";
import { OnewayCall, PatientCall } from "../cluster/call.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Endpoint } from "../cluster/endpoint.ts";
import type { MessageQueue } from "../message.ts";
import { inBackground } from "../owned_work.ts";
import { sendBatch, sendMessage } from "../wire/requests.ts";
import { OnewayWindow } from "./oneway_window.ts";
import type { Attempt, PendingSend } from "./pending_send.ts";
import { STORED_CODES, type StoredAnswer } from "./receipt.ts";
import { SendHeaders } from "./send_headers.ts";

/** Receives how attempts end. */
export interface AttemptsOwner {
  /** An attempt has succeeded. */
  succeeded<T>(pending: PendingSend<T>, attempt: Attempt, answer: T): void;
  /** An attempt has failed. */
  failed<T>(pending: PendingSend<T>, attempt: Attempt, error: unknown): void;
  /** An attempt has no answer in its part of the time. A later answer still ends the send. */
  overdue<T>(pending: PendingSend<T>, attempt: Attempt): void;
}

/** Makes the attempts of one sender. */
export class Attempts {
  #cluster: Pick<Cluster, "broker">;
  #health: BrokerHealth;
  #headers: SendHeaders;
  #owner: AttemptsOwner;
  /** By broker. */
  #windows = new Map<string, OnewayWindow>();

  /** Makes attempts over a cluster's shared connections, in the name of a producer group. */
  constructor(cluster: Pick<Cluster, "broker" | "health">, group: string, owner: AttemptsOwner) {
    this.#cluster = cluster;
    this.#health = cluster.health;
    this.#headers = new SendHeaders(group);
    this.#owner = owner;
  }

  /** Begins an attempt that the broker answers. */
  answered = (pending: PendingSend<StoredAnswer>, attempt: Attempt): void => {
    const { request, deadline: { end, signal }, born } = pending;
    const { queue, startedAt, deadline } = attempt;
    const { body, batch } = request;
    const timeout = Math.ceil(deadline - startedAt);
    const overdue = () => this.#owner.overdue(pending, attempt);
    const options = { body, timeout, deadline, end, overdue, signal, accept: STORED_CODES };
    const endpoint = this.#master(queue);
    const call = new PatientCall(
      batch ? sendBatch : sendMessage,
      this.#headers.of(queue, request, born),
      options,
      (answer) => {
        this.#health.answered(queue.broker, answer.receivedAt - startedAt);
        this.#owner.succeeded(pending, attempt, answer);
      },
      (error) => this.#owner.failed(pending, attempt, error),
    );
    attempt.call = call;
    endpoint.begin(call);
  };

  /** Begins an attempt that succeeds when its bytes are written, which waits while the broker is behind. */
  oneway = (pending: PendingSend<void>, attempt: Attempt): void => {
    const window = this.#windowOf(attempt.queue.broker);
    if (!window.isFull) return this.#writeOneway(pending, attempt, window);
    const written = window.room(pending.deadline).then(() => this.#writeOneway(pending, attempt, window));
    inBackground(written, (error) => this.#owner.failed(pending, attempt, error));
  };

  #writeOneway(pending: PendingSend<void>, attempt: Attempt, window: OnewayWindow): void {
    const { request, deadline: { end, signal }, born } = pending;
    const { queue, startedAt, deadline } = attempt;
    const endpoint = this.#master(queue);
    const onAnswered = window.next(request.body.length);
    const failed = (error: unknown) => {
      onAnswered?.(); // it may not have left
      this.#owner.failed(pending, attempt, error);
    };
    const timeout = Math.ceil(deadline - startedAt);
    const options = { body: request.body, timeout, deadline, end, signal };
    const header = this.#headers.of(queue, request, born);
    const written = () => this.#owner.succeeded(pending, attempt, undefined);
    attempt.call = new OnewayCall(sendMessage, header, options, written, failed, onAnswered);
    endpoint.begin(attempt.call);
  }

  #master(queue: MessageQueue): Endpoint {
    return this.#cluster.broker(queue.broker, 0, true);
  }

  #windowOf(broker: string): OnewayWindow {
    let window = this.#windows.get(broker);
    if (window === undefined) this.#windows.set(broker, window = new OnewayWindow());
    return window;
  }
}
