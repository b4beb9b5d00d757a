/**
 * Certificates in PEM, checked here because runtimes differ: some leave out what they cannot read, and report later that
 * the server's certificate is not trusted.
 *
 * @module
 */

const BLOCK = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END /g;

/** The first byte of a certificate, a SEQUENCE, and the flag of a long length. Source: X.690 section 8.1. */
const SEQUENCE = 0x30;
const LONG = 0x80;

/** Whether a text has one certificate in PEM at least, and all of them are whole. */
export function isPem(text: string): boolean {
  const blocks = [...text.matchAll(BLOCK)];
  return blocks.length > 0 && blocks.every(([, base64 = ""]) => isWhole(base64));
}

function isWhole(base64: string): boolean {
  let bytes: string;
  try {
    bytes = atob(base64);
  } catch {
    return false;
  }
  const lengthBytes = bytes.charCodeAt(1) - LONG;
  if (bytes.charCodeAt(0) !== SEQUENCE || !(lengthBytes >= 1 && lengthBytes <= 3)) return false;
  let length = 0;
  for (let i = 0; i < lengthBytes; i++) length = length * 256 + bytes.charCodeAt(2 + i);
  return bytes.length >= 2 + lengthBytes + length;
}
