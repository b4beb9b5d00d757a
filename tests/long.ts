/**
 * Which part of the tests runs: `deno task test` sets `LONG` to 0 and `deno task test:long` to 1; unset, which is
 * `deno test` by hand, both run.
 *
 * @module
 */

/** Whether only the long part runs. */
export const isLong = Deno.env.get("LONG") === "1";
/** Whether only the short part runs. */
export const isShort = Deno.env.get("LONG") === "0";
