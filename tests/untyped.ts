/** Values as programs without types pass them. */

/** Passes a value where the types forbid it, as a program in JavaScript can: `connect(fromJavaScript({ retries: 3 }))`. */
export function fromJavaScript(value: unknown): never {
  return value as never;
}
