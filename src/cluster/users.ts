/**
 * The consumers and producers of a client, which close with it.
 *
 * @module
 */

import { RocketMQError } from "../errors.ts";
import type { ClientHealth, ConsumerHealth, ProducerHealth } from "../health.ts";
import { inAnyCase } from "../owned_work.ts";

/** A consumer or producer that works on a cluster. */
export interface ClusterUser {
  /** Ends it: it leaves its group. */
  close(): Promise<void>;
  /** Whether it works, without a request. */
  health(): ConsumerHealth | ProducerHealth;
}

/** The users of one cluster. */
export class ClusterUsers {
  #users = new Set<ClusterUser>();
  #isClosing = false;

  /**
   * Notes a consumer or producer, which is closed with the cluster, until {@linkcode ClusterUsers.detach}.
   *
   * @throws {RocketMQError} `CLIENT_CLOSED` if the cluster is closing
   */
  attach(user: ClusterUser): void {
    if (this.#isClosing) {
      throw new RocketMQError("Cannot use the client: it is closed", { code: "CLIENT_CLOSED" });
    }
    this.#users.add(user);
  }

  /** Forgets a consumer or producer that has closed. */
  detach(user: ClusterUser): void {
    this.#users.delete(user);
  }

  /** Whether each works. */
  health(): Pick<ClientHealth, "consumers" | "producers"> {
    const all = [...this.#users].map((user) => user.health());
    return {
      consumers: all.filter((each) => each.kind !== "producer"),
      producers: all.filter((each) => each.kind === "producer"),
    };
  }

  /** Closes all, together; `failed` is called with each failure. */
  async close(failed: (error: unknown) => void): Promise<void> {
    this.#isClosing = true;
    await Promise.all([...this.#users].map((user) => inAnyCase([() => user.close()], failed)));
  }
}
