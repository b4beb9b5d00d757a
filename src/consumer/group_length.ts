/**
 * Groups whose names are too long for what brokers make of them.
 *
 * @module
 */

import type { Cluster } from "../cluster/cluster.ts";
import { VERSION_5_0_0 } from "../wire/codes.ts";
import { deadLetterTopic, retryTopic } from "../wire/names.ts";

/** The longest group that every broker takes retries and dead letters of. Source: Validators. */
export const SAFE_GROUP_LENGTH = 120;
/** The longest topic that brokers store messages of, and the longest retry topic, from 5.0 on. Source: HookUtils. */
const [LONGEST_TOPIC, LONGEST_RETRY_TOPIC] = [127, 255];

/** What a broker does not store of a group with so long a name; undefined if it stores all. */
export function refusedOf(
  group: string,
  isOld: boolean,
): "retries" | "dead letters" | "retries and dead letters" | undefined {
  const noRetries = retryTopic(group).length > (isOld ? LONGEST_TOPIC : LONGEST_RETRY_TOPIC);
  const noDead = deadLetterTopic(group).length > LONGEST_TOPIC;
  if (noRetries) return noDead ? "retries and dead letters" : "retries";
  return noDead ? "dead letters" : undefined;
}

/**
 * Warns of brokers that do not store what a group with so long a name sends back. They deliver to it all the same, and
 * what fails is redelivered here.
 */
export function warnOfLongGroup({ routes, membership, options: { events } }: Cluster, group: string): void {
  if (group.length <= SAFE_GROUP_LENGTH) return;
  for (const [broker, replicas] of routes.brokers()) {
    const version = membership.version(replicas.get(0) ?? "");
    const refused = refusedOf(group, version !== undefined && version < VERSION_5_0_0);
    if (refused === undefined) continue;
    const text =
      `broker "${broker}" stores no ${refused} of group "${group}": its name has ${group.length} characters, ` +
      `up to ${SAFE_GROUP_LENGTH} are safe; what cannot be sent back is redelivered by the member that has it`;
    events.emit("warning", "sendBackFailed", text, { group, broker });
  }
}
