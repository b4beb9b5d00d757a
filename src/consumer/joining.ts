/**
 * Being a member of a group, as brokers see it.
 *
 * @module
 */

import type { Cluster, ClusterListener } from "../cluster/cluster.ts";
import { ConsumerStartError } from "../errors.ts";
import type { ConsumerData } from "../wire/bodies.ts";

/** A membership that has begun. */
export interface GroupMembership {
  /** Stops hearing of the cluster and of the group. */
  unlisten(): void;
  /** Leaves the group; resolves when the brokers know, or cannot be told. */
  leave(): Promise<void>;
}

/**
 * Makes this client a member of a group: from here on heartbeats name it, and the cluster tells it what happens.
 *
 * @throws {ConsumerStartError} `GROUP_IN_USE` if it is one already
 */
export function enterGroup(
  cluster: Cluster,
  group: string,
  describe: () => ConsumerData,
  listener: ClusterListener,
): GroupMembership {
  if (cluster.membership.hasConsumer(group)) {
    throw new ConsumerStartError(
      `Cannot join group "${group}": this client is a member already; brokers tell members apart by client, ` +
        `so connect() once more for a second one`,
      { code: "GROUP_IN_USE" },
    );
  }
  cluster.membership.addConsumer(group, describe);
  const unlisten = cluster.listen(group, listener);
  return { unlisten, leave: () => cluster.membership.removeConsumer(group) };
}
