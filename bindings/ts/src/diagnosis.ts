// Why a connection can never work, however often it is tried: client and daemon are set up differently.
//
// A port of TLS need not answer what is plain: OpenSSL ends the connection without a word, as a daemon does that dies.
// So where a connection ends like that, the port is asked whether it speaks TLS.

import { connect as connectSecurely } from "node:tls";

import { describe, type Address } from "./address.js";
import { ConfigurationError, ConnectionLostError } from "./errors.js";

/** How an answer begins with which a server of TLS refuses; no line of the protocol does. */
const ALERT = 0x15;

/** Codes of node:tls for certificates that nobody who is trusted vouches for. */
const NOBODY_VOUCHES: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** And for those that are of no use otherwise. */
const BAD_CERTIFICATE: ReadonlySet<string> = new Set([
  "CERT_CHAIN_TOO_LONG",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REJECTED",
  "CERT_REVOKED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
]);

const ANOTHER_NAME: ReadonlySet<string> = new Set(["ERR_TLS_CERT_ALTNAME_INVALID", "HOSTNAME_MISMATCH"]);

/** What a failed try to connect means. That of a handshake may be final. */
export function dialError(address: Address, why: string, cause?: Error & { code?: string }): ConnectionLostError {
  const code = cause?.code ?? "";
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || (code === "EPROTO" && /wrong version number/i.test(why))) {
    return mismatch(address, "this port does not speak TLS: use mq:// and no tls", cause);
  }
  if (NOBODY_VOUCHES.has(code)) {
    const advice = "name who vouches for the daemon: tls: { ca }";
    return mismatch(address, `its certificate is not trusted: ${why}; ${advice}`, cause);
  }
  if (ANOTHER_NAME.has(code)) {
    const advice = "connect by a name that the certificate has, or say which: tls: { servername }";
    return mismatch(address, `its certificate is for another name: ${why}; ${advice}`, cause);
  }
  if (BAD_CERTIFICATE.has(code)) {
    return mismatch(address, `its certificate is of no use: ${why}`, cause);
  }
  return new ConnectionLostError(`Cannot connect to ${describe(address)}: ${why}`, false, { cause });
}

/** The error of TLS options that node:tls refuses. */
export function tlsOptionsError(address: Address, cause: Error): ConfigurationError {
  return mismatch(address, `the options of tls cannot be used: ${cause.message}`, cause);
}

/** What the first bytes of a connection say, if they are no daemon's of this protocol. */
export function mistakeInBytes(address: Address, chunk: Uint8Array): ConfigurationError | undefined {
  return chunk[0] === ALERT ? speaksTlsError(address) : undefined;
}

/** The same of a line that is no JSON. */
export function mistakeInLine(address: Address, line: string): ConfigurationError | undefined {
  const text = "this is an HTTP port: use the daemon's PORT (6789) instead of its HTTP_PORT";
  return line.startsWith("HTTP/") ? mismatch(address, text) : undefined;
}

export function speaksTlsError(address: Address): ConfigurationError {
  return mismatch(address, "this port speaks TLS: use mqs:// or tls: true");
}

/** Asks the port, where there is doubt: the client speaks none, and a Unix socket never does. False if it does not say. */
export async function speaksTls(address: Address, timeout: number): Promise<boolean> {
  const { host, port, unixSocket, tls } = address;
  if (unixSocket !== undefined || tls !== undefined) {
    return false;
  }
  return new Promise((resolve) => {
    // Nothing is sent, so it does not matter who answers.
    const socket = connectSecurely({ host, port, rejectUnauthorized: false });
    const end = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(false), timeout);
    socket.once("secureConnect", () => end(true));
    // Refused in the language of TLS.
    socket.on("error", (error: Error & { code?: string }) => end(/_ALERT_/.test(error.code ?? "")));
    socket.once("close", () => end(false));
  });
}

function mismatch(address: Address, why: string, cause?: Error): ConfigurationError {
  return new ConfigurationError(`Cannot connect to ${describe(address)}: ${why}`, false, { cause });
}
