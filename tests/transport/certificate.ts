/** A server that speaks TLS, with a certificate for "broker.example" and its authority, made for tests alone. */

/** The authority's certificate, in PEM. */
export const authority = `-----BEGIN CERTIFICATE-----
MIIBlTCCATygAwIBAgIUYINBms2zE07YyjYqPGgyJ4iQYt0wCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjYxMTI3MTcxODQ2WhgPMjEy
NjExMDMxNzE4NDZaMBkxFzAVBgNVBAMMDlRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAE3ljXkxggRj/tCK0BQH74d1wMEE5kFaFrR5mRuGQ/
Pl5niXtoTAt0d+070x3r/BXm6OtfSm6moWfXDYsJ8G5b6aNgMF4wHQYDVR0OBBYE
FIthgwKG/G4EeoGS8EZMPfgHivJxMB8GA1UdIwQYMBaAFIthgwKG/G4EeoGS8EZM
PfgHivJxMA8GA1UdEwEB/wQFMAMBAf8wCwYDVR0PBAQDAgIEMAoGCCqGSM49BAMC
A0cAMEQCIC5az7Q17lzCk5oK/Yh2GS+M9r1UpcveBUHnmusYOHZRAiAXza2if7GW
XbkMryM2FoF5StN4GKgytuwln/bfhMhrTA==
-----END CERTIFICATE-----
`;

const cert = `-----BEGIN CERTIFICATE-----
MIIBnTCCAUSgAwIBAgIUVUMSbndp+lnze5Dom8B8YvA2PVowCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjYxMTI3MTcxODQ2WhgPMjEy
NjExMDMxNzE4NDZaMBkxFzAVBgNVBAMMDmJyb2tlci5leGFtcGxlMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAE/GPVG96BZpgAAvxf4yLbfBqP/JDSFkKigbJrMa5t
I6miBOH9PUNDIHqo6Cdq8MQ6A5m84wN6jsg32z8lgBZS+aNoMGYwGQYDVR0RBBIw
EIIOYnJva2VyLmV4YW1wbGUwCQYDVR0TBAIwADAdBgNVHQ4EFgQU/U5o3rA8S3Jw
c1xLx55BMCrriUEwHwYDVR0jBBgwFoAUi2GDAob8bgR6gZLwRkw9+AeK8nEwCgYI
KoZIzj0EAwIDRwAwRAIgJbYedulYAzjNj6U9jZZfVwkcSW4kPy6Xz4IbtV6+AuMC
IGMaRQR9ZDevHB2TsHNU8O4+gyInsuDCnf98PgPf5zyh
-----END CERTIFICATE-----
`;

const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgl91FH1tFFyLIj5GR
KqMEoWznGFclU1fMoXqrRMMwdnGhRANCAAT8Y9Ub3oFmmAAC/F/jItt8Go/8kNIW
QqKBsmsxrm0jqaIE4f09Q0MgeqjoJ2rwxDoDmbzjA3qOyDfbPyWAFlL5
-----END PRIVATE KEY-----
`;

/** Accepts connections and completes their handshakes, until it is disposed of. */
export class TlsServer {
  readonly address: string;
  #listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  #accepting = this.#accept();

  constructor() {
    this.address = `127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  async #accept(): Promise<void> {
    const served: Promise<void>[] = [];
    try {
      for await (const conn of this.#listener) served.push(serve(conn));
    } catch {
      // The listener was closed.
    }
    await Promise.all(served);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
  }
}

/** Reads until the client, which refuses the certificate, hangs up. */
async function serve(conn: Deno.TlsConn): Promise<void> {
  try {
    await conn.read(new Uint8Array(16));
  } catch {
    // The handshake failed: the client reports why.
  } finally {
    conn.close();
  }
}
