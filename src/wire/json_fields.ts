/**
 * Header fields as JSON, which servers read for every code and in every version.
 *
 * @module
 */

import { type Fields, headerJson, type HeaderOf, type HeaderText } from "./fields.ts";

/** Header fields that are one JSON object of texts. */
export class JsonFields {
  /** The JSON. */
  readonly text: string;

  private constructor(text: string) {
    this.text = text;
  }

  /** The fields of a typed header. */
  static of<T extends Fields>(fields: T, header: HeaderOf<T>): JsonFields {
    return new JsonFields(headerJson(fields, header));
  }

  /** Fields that are text already. */
  static ofText(fields: HeaderText): JsonFields {
    return new JsonFields(JSON.stringify(fields));
  }

  /** The name on the wire and the text of each field. */
  entries(): [name: string, text: string][] {
    return Object.entries<string>(JSON.parse(this.text));
  }

  /** These fields and further ones. */
  with(more: HeaderText): JsonFields {
    const [known, added] = [this.text.slice(1, -1), JSON.stringify(more).slice(1, -1)];
    return new JsonFields(`{${known}${known === "" || added === "" ? "" : ","}${added}}`);
  }
}

/** A header without fields. */
export const NO_FIELDS: JsonFields = JsonFields.ofText({});
