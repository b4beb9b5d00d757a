/**
 * The header fields of a request or reply on their way out.
 *
 * @module
 */

import type { BinaryFields } from "./binary_fields.ts";
import type { JsonFields } from "./json_fields.ts";

/**
 * Header fields that are ready to be written: as JSON, or in binary form for frequent requests. `entries()` reads them
 * as text, `with()` returns a header that has further fields.
 */
export type WireHeader = JsonFields | BinaryFields;

/** The values of all fields, sorted by their names, in one text: what a signature covers. Source: AclUtils. */
export function sortedValues(header: WireHeader): string {
  return header.entries().sort(([a], [b]) => a < b ? -1 : 1).map(([, text]) => text).join("");
}
