/**
 * Shapes that values of JSON are checked against: what comes out is typed, what does not fit is named by its place.
 *
 * What Java's own reader takes fits too: members that nobody knows are left out, null is as good as missing, a number
 * or a flag may stand in quotes. Source: fastjson.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import { excerpt, shown } from "../plain_text.ts";
import { type JsonBodyOf, parseBody } from "./json.ts";

/** Checks a value; {@linkcode Mismatch} is thrown for one that does not fit. */
export type Shape<T> = (value: unknown) => T;

/** What a shape makes of a value. */
export type TypeOf<S> = S extends Shape<infer T> ? T : never;

/** Reads one kind of body. */
export type BodyReader<T> = (body: Uint8Array) => T;

/** The shapes of an object's members. */
type Members = Readonly<Record<string, Shape<unknown>>>;
type Missable<M extends Members> = { [K in keyof M]: undefined extends TypeOf<M[K]> ? K : never }[keyof M];
type ObjectOf<M extends Members> =
  & { readonly [K in Exclude<keyof M, Missable<M>>]: TypeOf<M[K]> }
  & { readonly [K in Missable<M>]?: Exclude<TypeOf<M[K]>, undefined> };

/** An integer in quotes. */
const INTEGER = /^-?\d{1,16}$/;

/** The largest int of Java. */
export const MAX_INT = 0x7fffffff;

/** A value does not fit its shape. */
export class Mismatch extends Error {
  /** The steps to the value, from the outermost on. */
  readonly path: (string | number)[] = [];

  /** Notes what was found, and what is allowed there. */
  constructor(found: unknown, allowed: string) {
    super(`is ${found === undefined ? "missing" : shown(found)}, allowed is ${allowed}`);
  }

  /** Where the value stands: `consumerList[3].name`; empty for the whole body. */
  get place(): string {
    return this.path.map((step, at) => typeof step === "number" ? `[${step}]` : at === 0 ? step : `.${step}`).join("");
  }
}

/**
 * A reader of the bodies of a request or of its answers.
 *
 * It throws `NetworkError` `MALFORMED_FRAME`, which names the request, the place, and what was found there.
 */
export function bodyReader<T>(request: JsonBodyOf, shape: Shape<T>): BodyReader<T> {
  return (body) => {
    const value = parseBody(body, request);
    try {
      return shape(value);
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      const text = `Cannot read the body of ${request.name}: ${excerpt(error.place) || "it"} ${error.message}`;
      throw new NetworkError(text, "", "MALFORMED_FRAME");
    }
  };
}

/** A text of up to `max` characters. */
export function text(max: number): Shape<string> {
  const allowed = `a text of up to ${max} characters`;
  return (value) => {
    if (typeof value === "string" && value.length <= max) return value;
    throw new Mismatch(value, allowed);
  };
}

/** An integer in a range, within those that are safe. */
export function integer(min: number = Number.MIN_SAFE_INTEGER, max: number = Number.MAX_SAFE_INTEGER): Shape<number> {
  const allowed = `an integer from ${min} to ${max}`;
  return (value) => {
    const number = typeof value === "string" && INTEGER.test(value) ? Number(value) : value;
    if (typeof number === "number" && Number.isSafeInteger(number) && number >= min && number <= max) return number;
    throw new Mismatch(value, allowed);
  };
}

/** True or false. */
export const flag: Shape<boolean> = (value) => {
  if (value === true || value === "true") return true;
  if (value === false || value === "false") return false;
  throw new Mismatch(value, "true or false");
};

/** One of a few texts. */
export function oneOf<const V extends string>(...values: readonly V[]): Shape<V> {
  const allowed = values.map((each) => `"${each}"`).join(" or ");
  return (value) => {
    const found = values.find((each) => each === value);
    if (found !== undefined) return found;
    throw new Mismatch(value, allowed);
  };
}

/** What may be missing, or null; it becomes the fallback then. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined>;
export function optional<T>(shape: Shape<T>, fallback: T): Shape<T>;
export function optional<T>(shape: Shape<T>, fallback?: T): Shape<T | undefined> {
  return (value) => value === undefined || value === null ? fallback : shape(value);
}

/** A list; all of its entries must fit. */
export function list<T>(entry: Shape<T>): Shape<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) throw new Mismatch(value, "an array");
    return value.map((each, at) => within(at, entry, each));
  };
}

/** An object of any names, whose values have one shape. */
export function map<T>(entry: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return (value) => {
    const read: Record<string, T> = Object.create(null);
    for (const [name, each] of Object.entries(objectIn(value))) read[name] = within(name, entry, each);
    return read;
  };
}

/**
 * A map whose keys are objects, as pairs: those that do not fit are left out. The keys may also be JSON in quotes, as
 * members of an object.
 */
export function table<K, V>(key: Shape<K>, entry: Shape<V>): Shape<readonly (readonly [K, V])[]> {
  return (value) => {
    const pairs: readonly unknown[] = Array.isArray(value) ? value : Object.entries(objectIn(value)).map(unquoted);
    return pairs.flatMap((pair, at) => {
      if (!Array.isArray(pair) || pair.length !== 2) return within(at, noPair, pair);
      try {
        return [[key(pair[0]), entry(pair[1])] as const];
      } catch (error) {
        if (error instanceof Mismatch) return [];
        throw error;
      }
    });
  };
}

/** An object with these members; others are left out. */
export function object<const M extends Members>(members: M): Shape<ObjectOf<M>> {
  const entries = Object.entries(members);
  return (value) => {
    const given = objectIn(value);
    const read: Record<string, unknown> = {};
    for (const [name, shape] of entries) {
      const member = within(name, shape, Object.hasOwn(given, name) ? given[name] : undefined);
      if (member !== undefined) read[name] = member;
    }
    return read as ObjectOf<M>; // each member has passed the shape of its name
  };
}

/** What is there of several shapes: the first that fits. */
export function either<A, B>(first: Shape<A>, second: Shape<B>): Shape<A | B> {
  return (value) => {
    try {
      return first(value);
    } catch (error) {
      if (error instanceof Mismatch) return second(value);
      throw error;
    }
  };
}

function within<T>(step: string | number, shape: Shape<T>, value: unknown): T {
  try {
    return shape(value);
  } catch (error) {
    if (error instanceof Mismatch) error.path.unshift(step);
    throw error;
  }
}

function objectIn(value: unknown): Readonly<Record<string, unknown>> {
  if (isObject(value)) return value;
  throw new Mismatch(value, "an object");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const noPair: Shape<never> = (value) => {
  throw new Mismatch(value, "a key and its value");
};

function unquoted([key, value]: readonly [string, unknown]): readonly [unknown, unknown] {
  try {
    return [JSON.parse(key), value];
  } catch {
    return [key, value];
  }
}
