/**
 * Property names in the bytes in which they are searched for.
 *
 * @module
 */

const encoder = new TextEncoder();

/** How many names are kept encoded: programs ask for few, again and again. */
const MOST_NAMES = 256;
const encodedNames = new Map<string, Uint8Array>();

/** The bytes of a property name, as {@linkcode findProperty} takes it. */
export function encodedName(name: string): Uint8Array {
  let bytes = encodedNames.get(name);
  if (bytes === undefined) {
    bytes = encoder.encode(name);
    if (encodedNames.size < MOST_NAMES) encodedNames.set(name, bytes);
  }
  return bytes;
}
