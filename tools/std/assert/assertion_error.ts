/** What every assertion throws when it does not hold. */
export class AssertionError extends Error {
  override name = "AssertionError";
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Ends a message: with the caller's own words if there are any. */
export function suffix(msg?: string): string {
  return msg ? `: ${msg}` : ".";
}
