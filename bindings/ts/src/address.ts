// Where the daemon is: from options, a URL, or the environment.

import type { ConnectionOptions as TlsConnectionOptions } from "node:tls";

import { MagicQueueError } from "./errors.js";

/** The default TCP port. */
export const DEFAULT_PORT = 6789;

/** Who the daemon must be, in the words of node:tls: `ca` vouches for its certificate, where the system does not. */
export type TlsOptions = Pick<
  TlsConnectionOptions,
  "ca" | "cert" | "key" | "passphrase" | "servername" | "rejectUnauthorized" | "minVersion"
>;

/**
 * How to reach the daemon. What is given counts before the URL, the URL before `MQ_URL`, that before localhost:6789.
 */
export interface AddressOptions {
  /** Host name or address; default localhost. */
  host?: string | undefined;
  /** TCP port; default 6789. */
  port?: number | undefined;
  /** Path of a Unix socket, instead of host and port. */
  unixSocket?: string | undefined;
  /** One of the daemon's tokens, where it has any. */
  token?: string | undefined;
  /** Speak TLS to host and port; default: if the URL begins with `mqs://`. */
  tls?: boolean | TlsOptions | undefined;
  /**
   * `mq://token@host:port/queue` (`mqs://` for TLS), or `mq+unix:///path/of/socket?queue=name&token=token`; default the variable `MQ_URL`.
   */
  url?: string | undefined;
}

/** Where the daemon is, every question answered. */
export interface Address {
  host: string;
  port: number;
  /** Used instead of host and port. */
  unixSocket: string | undefined;
  /** undefined: the bytes are plain. */
  tls: TlsOptions | undefined;
  token: string | undefined;
  /** The queue that the URL names. */
  queue: string | undefined;
}

/** The parts of a URL. Throws MagicQueueError if it is none of the two forms. */
export function parseUrl(text: string): Partial<Address> {
  let url: URL;
  try {
    url = new URL(text);
  } catch (error) {
    throw new MagicQueueError(`"${hideToken(text)}" is no URL like mq://token@host:port/queue`, { cause: error });
  }
  const isUnix = url.protocol === "mq+unix:";
  const isTls = url.protocol === "mqs:";
  if (!isUnix && !isTls && url.protocol !== "mq:") {
    throw new MagicQueueError(`the URL of a daemon begins with mq://, mqs:// or mq+unix://, not ${url.protocol}//`);
  }
  const token = isUnix ? url.searchParams.get("token") : decode(url.username || url.password);
  const path = decode(url.pathname);
  if (isUnix && !path) {
    throw new MagicQueueError("a mq+unix:// URL needs the path of a socket");
  }
  return {
    ...(token !== null && token !== "" && { token }),
    ...(isUnix && { unixSocket: path }),
    ...(isTls && { tls: {} }),
    ...(url.hostname && !isUnix && { host: url.hostname.replace(/^\[(.*)\]$/, "$1") }),
    ...(url.port && { port: Number(url.port) }),
    ...queueOf(isUnix ? (url.searchParams.get("queue") ?? "") : path.replace(/^\//, "")),
  };
}

/** The address that these options mean. `environment`: where `MQ_URL` is looked up. */
export function resolveAddress(options: AddressOptions, environment: { MQ_URL?: string | undefined }): Address {
  const isPlaceGiven = options.host !== undefined || options.port !== undefined || options.unixSocket !== undefined;
  const text = options.url ?? (isPlaceGiven ? undefined : environment.MQ_URL || undefined);
  const url = text === undefined ? {} : parseUrl(text);
  const isTcpGiven = options.host !== undefined || options.port !== undefined;
  const port = options.port ?? url.port ?? DEFAULT_PORT;
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new MagicQueueError(`a port is a whole number from 1 to 65535, not ${port}`);
  }
  const unixSocket = options.unixSocket ?? (isTcpGiven ? undefined : url.unixSocket);
  const tls = options.tls === true ? {} : (options.tls ?? url.tls);
  return {
    host: options.host ?? url.host ?? "localhost",
    port,
    unixSocket,
    tls: tls === false || unixSocket !== undefined ? undefined : tls,
    token: options.token ?? url.token,
    queue: url.queue,
  };
}

/** An address in words, without its token. */
export function describe(address: Address): string {
  return address.unixSocket ?? (address.host.includes(":") ? `[${address.host}]` : address.host) + `:${address.port}`;
}

function queueOf(name: string): Partial<Address> {
  return name ? { queue: name } : {};
}

function hideToken(text: string): string {
  return text.replace(/\/\/[^@/]*@/, "//***@");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new MagicQueueError("a URL has a % that begins no escape", { cause: error });
  }
}
