/**
 * The check of signatures, as brokers with access control make it.
 *
 * @module
 */

import { builtin } from "../builtin.ts";
import type { Command } from "../wire/frame.ts";
import { ResponseCode } from "../wire/codes.ts";
import { refuse } from "./replies.ts";
import type { RequestFilter } from "./request_filter.ts";

/**
 * An account of an embedded broker.
 *
 * @category Test
 */
export interface EmbeddedAccount {
  /** The account's name. */
  readonly accessKey: string;
  /** Its secret. */
  readonly secretKey: string;
}

/**
 * Lets only signed requests pass. Requests to a name server on the same port are not checked, as name servers check
 * nothing.
 *
 * @param unchecked the codes of requests to the name server
 */
export function credentialsFilter(
  accounts: readonly EmbeddedAccount[],
  unchecked: ReadonlySet<number>,
  dialect: "5.x" | "4.9",
): RequestFilter {
  const secrets = new Map(accounts.map(({ accessKey, secretKey }) => [accessKey, secretKey]));
  return (request, connection, next) => {
    const problem = unchecked.has(request.code) ? undefined : problemOf(request, secrets, dialect);
    if (problem === undefined) return next(request, connection);
    if (dialect === "5.x") return refuse(ResponseCode.NO_PERMISSION, problem);
    return refuse(ResponseCode.SYSTEM_ERROR, `org.apache.rocketmq.acl.common.AclException: ${problem}`);
  };
}

/** What is wrong with a request's signature. Sources: PlainPermissionManager, DefaultAuthenticationHandler. */
function problemOf(
  { fields: { Signature: signature, ...fields }, body }: Command,
  secrets: ReadonlyMap<string, string>,
  dialect: "5.x" | "4.9",
): string | undefined {
  const { AccessKey: key } = fields;
  if (!key) return dialect === "5.x" ? "username cannot be null." : "No accessKey is configured";
  const secret = secrets.get(key);
  if (secret === undefined) return dialect === "5.x" ? `User:${key} is not found.` : `No acl config for ${key}`;
  const content = Object.keys(fields).sort().map((name) => fields[name]).join("");
  const expected = builtin("node:crypto").createHmac("sha1", secret).update(content).update(body).digest("base64");
  if (signature === expected) return undefined;
  return dialect === "5.x" ? "check signature failed." : `Check signature failed for accessKey=${key}`;
}
