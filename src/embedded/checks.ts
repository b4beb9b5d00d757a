/**
 * What the options of embedded servers have in common when they are checked.
 *
 * @module
 */

import { ConfigError, type Problem } from "../errors.ts";
import { parseAddress } from "../wire/host.ts";

/** What is wrong with an option, undefined if nothing is: the words for what is allowed. */
export type OptionCheck = (value: unknown) => string | undefined;

/** A check that takes whole numbers. */
export function whole(least: number, most: number): OptionCheck {
  return (value) => isWhole(value, least, most) ? undefined : `a whole number, ${least} to ${most}`;
}

/** A check that takes what `matches`. */
export function only(allowed: string, matches: (value: unknown) => boolean): OptionCheck {
  return (value) => matches(value) ? undefined : allowed;
}

/** Where a server is opened. */
export const placeChecks: Readonly<Record<"port" | "host" | "transport", OptionCheck>> = {
  port: whole(0, 65_535),
  host: only("an IP address", (value) => typeof value === "string" && parseAddress(value) !== undefined),
  transport: only("a transport", isRecord),
};

/** Which line of servers is imitated. */
export const dialectCheck: OptionCheck = only('"5.x" or "4.9"', (value) => value === "5.x" || value === "4.9");

/** Checks options by name; those that are undefined are as not given. */
export function requireOptions(
  action: string,
  options: object,
  checks: Readonly<Record<string, OptionCheck>>,
  more: (field: string, value: unknown) => Problem[] = () => [],
): void {
  const problems = Object.entries(options).flatMap(([field, value]): Problem[] => {
    if (value === undefined) return [];
    const check = Object.hasOwn(checks, field) ? checks[field] : undefined;
    const allowed = check === undefined ? `one of the options ${Object.keys(checks).join(", ")}` : check(value);
    return allowed === undefined ? more(field, value) : [{ field, value, allowed }];
  });
  if (problems.length > 0) throw new ConfigError(action, problems);
}

/** Options without those that are undefined. */
type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The options that are given, for defaults to be put below. */
export function given<T extends object>(options: T): Given<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<T>;
}

/** Whether a value is a whole number within bounds. */
export function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}

/** Whether a value is an object, and no list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
