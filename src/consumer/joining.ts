/**
 * Being a member of a group, as brokers see it.
 *
 * @module
 */

import type { Cluster, ClusterWatcher } from "../cluster/cluster.ts";
import { ConsumerStartError } from "../errors.ts";
import type { ConsumerData } from "../wire/bodies.ts";
import { consumerRoutes, type GroupCommands } from "./group/served_requests.ts";

/** A membership that has begun. */
export interface GroupMembership {
  /** No longer serves requests of brokers, nor watches the cluster. */
  unlisten(): void;
  /** Leaves the group; resolves when the brokers know, or cannot be reached. */
  leave(): Promise<void>;
}

/**
 * Makes this client a member of a group: from here on heartbeats name it, and it serves requests of brokers.
 *
 * @throws {ConsumerStartError} `GROUP_IN_USE` if it is one already
 */
export function enterGroup(
  cluster: Cluster,
  group: string,
  describe: () => ConsumerData,
  listener: ClusterWatcher & GroupCommands,
): GroupMembership {
  if (cluster.membership.hasConsumer(group)) {
    throw new ConsumerStartError(
      `Cannot join group "${group}": this client is a member already; brokers tell members apart by client, ` +
        `so connect() once more for a second one`,
      { code: "GROUP_IN_USE" },
    );
  }
  cluster.membership.addConsumer(group, describe);
  const unwatch = cluster.watch(listener);
  const unserve = cluster.requests.register("consumer", group, consumerRoutes(listener));
  const unlisten = () => {
    unwatch();
    unserve();
  };
  return { unlisten, leave: () => cluster.membership.removeConsumer(group) };
}
