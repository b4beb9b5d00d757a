/**
 * Credentials: signing every request, and what brokers answer to those that they refuse.
 *
 * @module
 */

import { builtin } from "../builtin.ts";
import { CredentialsError, PermissionError, type ResponseError } from "../errors.ts";
import { isPromise } from "../owned_work.ts";
import type { PrepareStep } from "../transport/prepare.ts";
import { ResponseCode } from "../wire/codes.ts";
import { sortedValues, type WireHeader } from "../wire/wire_header.ts";

/**
 * The keys of an account, as `plain_acl.yml` of 4.9 or the users of 5.x have them.
 *
 * @category Start
 */
export interface Credentials {
  /** The account: the user name on 5.x. */
  readonly accessKey: string;
  /** The secret: the password on 5.x. It is never sent. */
  readonly secretKey: string;
  /** A token that goes with temporary keys. */
  readonly securityToken?: string;
}

/**
 * Returns the credentials of the moment: called at the start, and when brokers have refused the last ones.
 *
 * @category Start
 */
export type CredentialsProvider = () => Credentials | Promise<Credentials>;

/**
 * Signs requests: HMAC-SHA1 over the values of all header fields, sorted by their names, and the body.
 * Source: AclClientRPCHook, AclSigner.
 */
export class Signer {
  #provide: CredentialsProvider;
  #current: Credentials | undefined;
  #renewing: Promise<boolean> | undefined;

  /** Makes a signer that has no credentials before {@linkcode Signer.load}. */
  constructor(credentials: Credentials | CredentialsProvider) {
    this.#provide = typeof credentials === "function" ? credentials : () => credentials;
  }

  /** Signs a request before it is written. */
  readonly sign: PrepareStep = ({ fields, body }) => {
    const { accessKey, secretKey, securityToken } = this.#current!;
    const named = fields.with({ AccessKey: accessKey, ...(securityToken && { SecurityToken: securityToken }) });
    return named.with({ Signature: signatureOf(named, body, secretKey) });
  };

  /**
   * Takes the first credentials.
   *
   * @throws {CredentialsError} if the provider fails, or returns none
   */
  async load(): Promise<void> {
    this.#current = await this.#provided();
  }

  /**
   * Takes new credentials after the last ones were refused; returns whether they are others. Requests that are refused
   * meanwhile share the call of the provider.
   */
  renew(): Promise<boolean> {
    this.#renewing ??= this.#renew().finally(() => this.#renewing = undefined);
    return this.#renewing;
  }

  async #renew(): Promise<boolean> {
    const last = this.#current;
    const next = this.#current = await this.#provided();
    return last?.accessKey !== next.accessKey || last.secretKey !== next.secretKey ||
      last.securityToken !== next.securityToken;
  }

  async #provided(): Promise<Credentials> {
    let given: Credentials;
    try {
      const provided = this.#provide();
      given = isPromise(provided) ? await provided : provided;
    } catch (cause) {
      throw new CredentialsError("Cannot get credentials: the function given as credentials failed", { cause });
    }
    if (isCredentials(given)) return given;
    throw new CredentialsError(
      "Cannot use the credentials: the function given as credentials returned no object with accessKey and secretKey",
    );
  }
}

/** Whether a value is credentials: texts that are not empty. */
export function isCredentials(value: unknown): value is Credentials {
  if (typeof value !== "object" || value === null) return false;
  const { accessKey, secretKey, securityToken = "-" } = value as Record<string, unknown>;
  return [accessKey, secretKey, securityToken].every((text) => typeof text === "string" && text !== "");
}

/** Whether an error says that the account, or its rights, are refused: trying again does not help. */
export function isRefusal(error: unknown): error is CredentialsError | PermissionError {
  return error instanceof CredentialsError || error instanceof PermissionError;
}

/** The refusal that an error has as a cause; undefined if it has none. */
export function refusalBelow(error: unknown): CredentialsError | PermissionError | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    if (isRefusal(at)) return at;
  }
  return undefined;
}

/** Remarks about keys, not about rights. Sources: PlainPermissionManager, DefaultAuthenticationHandler. */
const REFUSED_KEYS =
  /check signature failed|No acl config for|No accessKey is configured|username cannot be null|User:.* is (not found|disabled)/i;
/** What a remark of 5.x names: `User:u has no permission to access Topic:t from …`. */
const RESOURCE = /(?:access|permission for) ((?:Topic|Group|Cluster|topic|group):?\s*[^\s,]+)/;

/**
 * The error of an answer that refuses the account or its rights; undefined for all other answers. 4.9 refuses with code
 * 1 and an AclException in the remark, 5.x with code 16, which it also answers where a topic may not be written.
 */
export function refusalOf(error: ResponseError): CredentialsError | PermissionError | undefined {
  const { responseCode, remark, address } = error;
  const isAcl = responseCode === ResponseCode.SYSTEM_ERROR && remark.includes("AclException");
  if (!isAcl && responseCode !== ResponseCode.NO_PERMISSION) return undefined;
  if (REFUSED_KEYS.test(remark)) {
    return new CredentialsError(
      `Cannot complete ${error.request} on ${address}: the broker refuses the credentials; check accessKey and ` +
        `secretKey, and that the account exists and is enabled`,
      { cause: error },
    );
  }
  const isRight = isAcl || /^User:/.test(remark);
  if (!isRight) return undefined;
  const resource = RESOURCE.exec(remark)?.[1] ?? "";
  return new PermissionError(error, resource);
}

function signatureOf(fields: WireHeader, body: Uint8Array, secretKey: string): string {
  return builtin("node:crypto").createHmac("sha1", secretKey).update(sortedValues(fields)).update(body)
    .digest("base64");
}
