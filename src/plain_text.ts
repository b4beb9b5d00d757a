/**
 * Text that others have written, as errors, events and log lines may show it.
 *
 * A remark of a server, a name in a route or the value of an option may hold what a terminal obeys, what turns a line
 * into two, or what reverses the order of its letters: none of it is written as it is.
 *
 * @module
 */

/** The most characters of one text that somebody else has written. */
const MOST_SHOWN = 200;
/** The most characters of a whole message or line. */
const MOST_WRITTEN = 8_000;

/** The most causes that are followed: a chain may be a ring. */
const MOST_CAUSES = 16;

/** Control characters, separators of lines, marks of direction, halves of surrogate pairs, the mark of byte order. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}\ufeff]/gu;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * A text without what is not to be written: that is escaped as in source code, `\u001b`. Of long ones the beginning.
 */
export function plain(text: string, most: number = MOST_WRITTEN): string {
  const safe = cut(text, most);
  return safe.search(UNSAFE) < 0 ? safe : cut(safe.replace(UNSAFE, escape), most);
}

/** One text that somebody else has written, within a message: at most 200 characters of it. */
export function excerpt(text: string): string {
  return plain(text, MOST_SHOWN);
}

/** Whether a text may be written as it is. */
export function isPlain(text: string): boolean {
  return text.search(UNSAFE) < 0;
}

/** A value of somebody else as messages show it; texts in quotes. */
export function shown(value: unknown, most: number = MOST_SHOWN): string {
  if (value === undefined) return "undefined";
  if (typeof value === "string") return `"${plain(value, most)}"`;
  if (value instanceof Date) return `Date ${value.getTime()}`;
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return plain(String(value), most);
}

/** What an error says, or whatever else was thrown: some of it cannot be made a text. */
export function reasonOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return "what was thrown has no text";
  }
}

/** What a user's function has thrown, with where, as log lines have no stack: `TypeError: no id (file:///app.ts:3:9)`. */
export function thrownAs(error: unknown): string {
  const reason = reasonOf(error);
  try {
    if (!(error instanceof Error)) return reason;
    const frame = /^\s+at (?:.*\()?(.+?:\d+:\d+)\)?$/m.exec(`${error.stack}`)?.[1];
    return `${error.name}: ${reason}${frame === undefined ? "" : ` (${frame})`}`;
  } catch {
    return reason; // an object that throws whatever is read of it
  }
}

/** The first cause of an error: what its `cause`s lead to. */
export function innermost(error: unknown): unknown {
  let found = error;
  try {
    for (let depth = 0; depth < MOST_CAUSES && found instanceof Error && found.cause !== undefined; depth++) {
      found = found.cause;
    }
  } catch {
    // An error whose cause cannot be read is the innermost.
  }
  return found;
}

function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const isPair = /[\ud800-\udbff]/.test(text[most - 1] ?? "");
  return `${text.slice(0, isPair ? most - 1 : most)}…`;
}

function escape(character: string): string {
  return SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
