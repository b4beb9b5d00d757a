/** Values as programs without types pass them. */

/** Passes a value where the types forbid it, as a program in JavaScript can: `connect(fromJavaScript({ retries: 3 }))`. */
export function fromJavaScript(value: unknown): never {
  return value as never;
}

/** A stand-in for a part: it has what the code under test uses of it, and nothing else. */
export function standIn<T>(some: Partial<T>): T {
  return some as T;
}
