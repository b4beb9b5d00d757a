/**
 * Header fields as a table describes them, and the two directions between typed values and header text.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import { shown } from "../plain_text.ts";

/** The type of a header field, as Java prints and parses it. */
export type FieldKind = "text" | "int" | "long" | "bool";

/**
 * A field in a table: its kind, a `?` if it may be missing, and `=x` where its name on the wire is another
 * (the short names of SEND_MESSAGE_V2).
 */
export type Field = FieldKind | `${FieldKind}?` | `${FieldKind}=${string}` | `${FieldKind}?=${string}`;

/** The fields of one header by the name that our code uses. */
export interface Fields {
  /** The field of that name. */
  readonly [name: string]: Field;
}

/** A field's kind without its wire name: `"int?"` of `"int?=j"`. */
export type KindOf<F extends Field> = F extends `${infer K}=${string}` ? K : F;

/** The type of a field's value. */
export type ValueOf<F extends Field> = KindOf<F> extends `text${string}` ? string
  : KindOf<F> extends `bool${string}` ? boolean
  : number;

/** The names of the fields that may be missing. */
export type OptionalNames<T extends Fields> = {
  [N in keyof T]: KindOf<T[N]> extends `${string}?` ? N : never;
}[keyof T];

/** The typed header that a table row describes. */
export type HeaderOf<T extends Fields> =
  & { [N in Exclude<keyof T, OptionalNames<T>>]: ValueOf<T[N]> }
  & { [N in OptionalNames<T>]?: ValueOf<T[N]> | undefined };

/** Header fields as they travel: text by name. An object without prototype or one made by `JSON.parse`. */
export type HeaderText = Record<string, string>;

/** What Java prints for an int or a long. */
const INTEGER = /^-?\d+$/;
/** What may stand in JSON for a field's text: brokers of other makes send numbers and flags bare. */
const SCALARS: ReadonlySet<string> = new Set(["string", "number", "boolean"]);

/** One field, taken apart once. */
export interface Column {
  /** The name in our code. */
  readonly name: string;
  /** The name on the wire. */
  readonly wire: string;
  /** What its value is. */
  readonly kind: FieldKind;
  /** Whether it may be missing. */
  readonly optional: boolean;
}

const knownColumns = new WeakMap<Fields, readonly Column[]>();

/** The columns of a table row, computed at its first use. */
export function columnsOf(fields: Fields): readonly Column[] {
  let known = knownColumns.get(fields);
  if (known === undefined) {
    known = Object.entries(fields).map(([name, field]) => {
      const [kind, wire = name] = field.split("=") as [string, string?];
      return { name, wire, kind: kind.replace("?", "") as FieldKind, optional: kind.endsWith("?") };
    });
    knownColumns.set(fields, known);
  }
  return known;
}

/** Writes a typed header as text; fields that are undefined are left out. */
export function encodeHeader<T extends Fields>(fields: T, header: HeaderOf<T>): HeaderText {
  const text: HeaderText = Object.create(null);
  const values = header as Record<string, string | number | boolean | undefined>;
  for (const { name, wire } of columnsOf(fields)) {
    const value = values[name];
    if (value !== undefined) text[wire] = String(value);
  }
  return text;
}

/** Writes a typed header as the JSON of its text; fields that are undefined are left out. */
export function headerJson<T extends Fields>(fields: T, header: HeaderOf<T>): string {
  return `{${members(columnsOf(fields), header as HeaderValues)}}`;
}

type HeaderValues = Readonly<Record<string, string | number | boolean | undefined>>;

/** The values of columns as the members of a JSON object: all are texts. */
function members(columns: readonly Column[], values: HeaderValues): string {
  let text = "";
  for (const { name, wire } of columns) {
    const value = values[name];
    if (value === undefined) continue;
    const json = typeof value === "string" ? JSON.stringify(value) : `"${value}"`;
    text += text === "" ? `"${wire}":${json}` : `,"${wire}":${json}`;
  }
  return text;
}

/**
 * Reads a typed header from text.
 *
 * @param what names the header in errors: `"PullMessage answer"`
 * @throws {NetworkError} `MALFORMED_FRAME` if a required field is missing or a number is none
 */
export function decodeHeader<T extends Fields>(fields: T, text: HeaderText, what: string): HeaderOf<T> {
  const header: Record<string, string | number | boolean | undefined> = {};
  for (const { name, wire, kind, optional } of columnsOf(fields)) {
    const raw: unknown = Object.hasOwn(text, wire) ? text[wire] : undefined;
    if (raw === undefined || raw === null) {
      if (!optional) throw malformed(what, wire, "is missing");
    } else if (typeof raw !== "string" && !SCALARS.has(typeof raw)) {
      throw malformed(what, wire, "is neither text nor a number");
    } else if (kind === "text") header[name] = String(raw);
    else if (kind === "bool") header[name] = String(raw).toLowerCase() === "true";
    else {
      const number = INTEGER.test(String(raw)) ? Number(raw) : NaN;
      if (!Number.isSafeInteger(number)) throw malformed(what, wire, `is ${shown(String(raw))}, not an integer`);
      header[name] = number;
    }
  }
  return header as HeaderOf<T>;
}

function malformed(what: string, field: string, problem: string): NetworkError {
  return new NetworkError(`Cannot read ${what}: field "${field}" ${problem}`, "", "MALFORMED_FRAME");
}
