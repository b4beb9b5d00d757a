/**
 * Checks of options.
 *
 * @module
 */

import { ConfigError, type Problem } from "../errors.ts";

/** Returns what is allowed if the value of an option is not, else undefined. */
export type OptionCheck = (value: unknown) => string | undefined;

/** Allows whole numbers. */
export function whole(least: number, most: number): OptionCheck {
  return (value) => isWhole(value, least, most) ? undefined : `a whole number, ${least} to ${most}`;
}

/** Allows what `matches`. */
export function only(allowed: string, matches: (value: unknown) => boolean): OptionCheck {
  return (value) => matches(value) ? undefined : allowed;
}

/** Checks options by name; an undefined one counts as absent. */
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

/** The options that are present, to be put over the default values. */
export function given<T extends object>(options: T): Given<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<T>;
}

/** Whether a value is a whole number within bounds. */
export function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}

/** Whether a value is an object and not a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
