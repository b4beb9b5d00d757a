/**
 * How groups get the messages of topics, where somebody has said so. Source: MessageRequestModeManager.
 *
 * @module
 */

import type { MessageRequestMode } from "../wire/bodies.ts";

/** How one group gets one topic's messages. */
export interface RequestMode {
  /** By pull or by pop. */
  readonly mode: MessageRequestMode;
  /** In POP, with how many members behind it each member shares its queues; all of them for 0 and less. */
  readonly popShareQueueNum: number;
}

/** What nobody has said anything about. Source: BrokerConfig.defaultMessageRequestMode. */
const PULL: RequestMode = { mode: "PULL", popShareQueueNum: 0 };

/** The modes of all groups. */
export class RequestModes {
  #modes = new Map<string, RequestMode>();

  /** How a group gets a topic's messages. */
  get(topic: string, group: string): RequestMode {
    return this.#modes.get(`${topic}@${group}`) ?? PULL;
  }

  /** Says how a group gets a topic's messages. */
  set(topic: string, group: string, mode: RequestMode): void {
    this.#modes.set(`${topic}@${group}`, mode);
  }
}
