/**
 * Being a member of a group, as brokers see it.
 *
 * @module
 */

import type { Cluster, ClusterListener } from "../cluster/cluster.ts";
import { ConsumerStartError } from "../errors.ts";
import type { ConsumerData } from "../wire/bodies.ts";

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
): void {
  if (cluster.membership.hasConsumer(group)) {
    throw new ConsumerStartError(
      `Cannot join group "${group}": this client is a member already; brokers tell members apart by client, ` +
        `so connect() once more for a second one`,
      { code: "GROUP_IN_USE" },
    );
  }
  cluster.membership.addConsumer(group, describe);
  cluster.listen(group, listener);
}
