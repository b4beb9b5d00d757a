/**
 * The options of a topic.
 *
 * @module
 */

import { type Problem, ValidationError } from "../errors.ts";
import { isRecord, isWhole } from "./checks.ts";
import { topicProblem } from "./names.ts";

/**
 * Options of a topic that is created.
 *
 * @category Test
 */
export interface TopicOptions {
  /**
   * The number of queues for reading and for writing, 1 to 1024.
   *
   * @default {4}
   */
  queues?: number;
  /**
   * The permissions: the sum of 4 (read), 2 (write) and 1 (new topics may be copied from it).
   *
   * @default {6}
   */
  permission?: number;
}

/** Checks one topic's name and options; throws a {@linkcode ValidationError} that names every problem. */
export function checkTopic(name: string, options: TopicOptions): Required<TopicOptions> {
  const problems = topicProblems(name, options, name);
  if (problems.length > 0) throw new ValidationError("create a topic", problems);
  return { queues: options.queues ?? 4, permission: options.permission ?? 6 };
}

/** The problems of topics by name, in the option `topics`. */
export function problemsOfTopics(field: string, value: unknown): Problem[] {
  if (field !== "topics" || !isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, topic]) => topicProblems(name, topic, `topics.${name}`));
}

function topicProblems(name: string, options: unknown, field: string): Problem[] {
  const problem = topicProblem(name);
  if (problem !== undefined) return [{ field, value: name, allowed: problem }];
  if (!isRecord(options)) return [{ field, value: options, allowed: "an object like { queues: 4 }" }];
  return Object.entries(options).flatMap(([key, value]) => {
    if (value === undefined) return [];
    const no = (allowed: string): Problem[] => [{ field: `${field}.${key}`, value, allowed }];
    if (key === "queues") return isWhole(value, 1, 1_024) ? [] : no("a whole number, 1 to 1024");
    if (key === "permission") return isWhole(value, 0, 7) ? [] : no("a whole number, 0 to 7");
    return no("one of the options queues, permission");
  });
}
