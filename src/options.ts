/**
 * Checking what users give: all problems of one call are named at once.
 *
 * @module
 */

import { ConfigError, type Problem } from "./errors.ts";
import { meant, unknownName } from "./option_names.ts";

/** What a topic or group name may consist of. Source: TopicValidator. */
const NAME = /^[%|a-zA-Z0-9_-]+$/;
/** The longest topic that brokers take, in bytes. Source: TopicValidator. */
export const MAX_TOPIC_LENGTH = 127;
/** The longest group that brokers take, in bytes. Source: Validators. */
export const MAX_GROUP_LENGTH = 255;

/** What names may be, in words. */
export function nameRule(max: number): string {
  return `1 to ${max} characters of % | a-z A-Z 0-9 _ -`;
}

/** Whether a value may name a topic or a group. */
export function isName(value: unknown, max: number): value is string {
  return typeof value === "string" && value.length >= 1 && value.length <= max && NAME.test(value);
}

/** Gathers the problems of one options object. */
export class OptionsCheck {
  #action: string;
  #problems: Problem[] = [];
  /** Options that were meant by names that are unknown. */
  #meant = new Set<string>();

  /** Starts a check; `action` says what cannot be done if there are problems: `"create a consumer"`. */
  constructor(action: string) {
    this.#action = action;
  }

  /** Notes a problem; not that an option is missing which has another name in these options. */
  add(field: string, value: unknown, allowed: string): void {
    if (value !== undefined || !this.#meant.has(field)) this.#problems.push({ field, value, allowed });
  }

  /** Notes a problem that is not just a value that is not allowed: `problem` says all of it. */
  explain(field: string, value: unknown, allowed: string, problem: string): void {
    this.#problems.push({ field, value, allowed, problem });
  }

  /** Checks that the options are an object with known names only. */
  known(options: unknown, names: readonly string[]): void {
    if (typeof options !== "object" || options === null || Array.isArray(options)) {
      this.add("options", options, `an object with ${names.join(", ")}`);
      this.done();
    }
    const unknown = Object.entries(options as object).filter(([name]) => !names.includes(name));
    const list = names.join(", ");
    for (const [i, [name, value]] of unknown.entries()) {
      const found = meant(name, names);
      if (found?.option !== undefined) this.#meant.add(found.option);
      const rest = i < unknown.length - 1
        ? ""
        : names.length === 1
        ? `; the option is ${list}`
        : `; the options are ${list}`;
      this.explain(name, value, `one of the options ${list}`, `${unknownName("option", name, found)}${rest}`);
    }
  }

  /** Checks an integer in a range; gives the default where it is missing. */
  integer(field: string, value: unknown, fallback: number, min: number, max: number, unit = ""): number {
    if (value === undefined) return fallback;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    this.add(field, value, `an integer from ${min} to ${max}${unit === "" ? "" : ` (${unit})`}`);
    return fallback;
  }

  /** Checks that a value is one of a few texts. */
  oneOf<V extends string>(field: string, value: unknown, fallback: V, allowed: readonly V[]): V {
    if (value === undefined) return fallback;
    if (allowed.includes(value as V)) return value as V;
    this.add(field, value, allowed.map((each) => `"${each}"`).join(" or "));
    return fallback;
  }

  /** Checks a value that is not missing by a look at it. */
  shape(field: string, value: unknown, allowed: string, isRight: (value: unknown) => boolean): void {
    if (value !== undefined && !isRight(value)) this.add(field, value, allowed);
  }

  /** Checks a flag. */
  flag(field: string, value: unknown, fallback: boolean): boolean {
    if (value === undefined) return fallback;
    if (typeof value === "boolean") return value;
    this.add(field, value, "true or false");
    return fallback;
  }

  /** Checks a topic's or group's name. */
  name(field: string, value: unknown, max: number): string {
    if (isName(value, max)) return value;
    this.add(field, value, nameRule(max));
    return "";
  }

  /** Makes a check of its own part of this one: gives its result, undefined if there were problems. */
  including<V>(check: () => V): V | undefined {
    try {
      return check();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#problems.push(...error.problems);
      return undefined;
    }
  }

  /**
   * Ends the check.
   *
   * @throws {ConfigError} if there was any problem
   */
  done(): void {
    if (this.#problems.length > 0) throw new ConfigError(this.#action, this.#problems);
  }
}
