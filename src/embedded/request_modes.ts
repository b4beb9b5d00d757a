/**
 * Whether groups pull or pop the messages of topics. Source: MessageRequestModeManager.
 *
 * @module
 */

import type { MessageRequestMode } from "../wire/bodies.ts";

/** How a group receives the messages of a topic. */
export interface RequestMode {
  /** By pull or by pop. */
  readonly mode: MessageRequestMode;
  /** With POP, with how many further members each member shares its queues; all members for 0 and less. */
  readonly popShareQueueNum: number;
}

/** The default mode. Source: BrokerConfig.defaultMessageRequestMode. */
const PULL: RequestMode = { mode: "PULL", popShareQueueNum: 0 };

/** The modes of all groups. */
export class RequestModes {
  #modes = new Map<string, RequestMode>();

  /** How a group receives the messages of a topic. */
  get(topic: string, group: string): RequestMode {
    return this.#modes.get(`${topic}@${group}`) ?? PULL;
  }

  /** Sets how a group receives the messages of a topic. */
  set(topic: string, group: string, mode: RequestMode): void {
    this.#modes.set(`${topic}@${group}`, mode);
  }
}
