// A client: requests as objects over a transport. Queue and Worker are made of it.

import process from "node:process";

import { resolveAddress, type AddressOptions } from "./address.js";
import type { EventName } from "./answers.js";
import type { BackoffOptions } from "./backoff.js";
import type { Answers, Request } from "./commands.js";
import { Connection, DEFAULT_CONNECTION, type ConnectionOptions } from "./connection.js";
import { Subscriptions, type EventStream } from "./events.js";
import { treatmentOf } from "./resending.js";
import type { Transport } from "./transport.js";

/** What a connection has come to. `retrying`: a try to connect again has failed. */
export type ConnectionState = "open" | "lost" | "retrying";

/** Where the daemon is, and how patient to be with it. Times are milliseconds. */
export interface ClientOptions extends AddressOptions {
  /** How long making a connection may take; default 10 s. */
  connectTimeout?: number | undefined;
  /** How long a request waits for a lost connection to come back; default 30 s. */
  offlineTimeout?: number | undefined;
  /** Silence, while answers are due, after which the daemon is asked whether it is there; default 15 s. */
  pingInterval?: number | undefined;
  /** How long `close` waits for the last answers; default 2 s. */
  closeTimeout?: number | undefined;
  /** Connecting again: the first wait is at most `base` (50), doubled to `cap` (5000); `attempts` (no limit) tries. */
  reconnect?: (Partial<BackoffOptions> & { attempts?: number }) | undefined;
  /**
   * Requests refused as retryable are sent again `attempts` (6) times, after at most `base` (50), doubled to `cap`
   * (2000).
   */
  retry?: (Partial<BackoffOptions> & { attempts?: number }) | undefined;
  /** Is told what becomes of the connection. */
  onConnection?: ((state: ConnectionState, error?: Error) => void) | undefined;
}

/** A connection to the daemon for any command. */
export class MagicQueueClient {
  /** What carries the requests. */
  readonly transport: Transport;
  readonly #subscriptions: Subscriptions;

  /** Does not connect yet. Throws MagicQueueError if the options contradict the form of an address. */
  constructor(options: ClientOptions | { transport: Transport } = {}) {
    this.transport = "transport" in options ? options.transport : connectionOf(options);
    this.#subscriptions = new Subscriptions(this.transport);
    const onConnection = "transport" in options ? undefined : options.onConnection;
    if (onConnection !== undefined) {
      this.transport.listen({
        onOpen: () => onConnection("open"),
        onTrouble: (error, isLoss) => onConnection(isLoss ? "lost" : "retrying", error),
      });
    }
  }

  /**
   * Resolves when requests can be sent. Rejects with ConnectionLostError or, where trying again is of no use, with
   * ConfigurationError or AuthFailedError.
   */
  connect(): Promise<void> {
    return this.transport.connect();
  }

  /**
   * Sends one request and resolves with its answer. Rejects with the class of the refusal's code, with
   * ConnectionLostError if the connection was lost and the request may not be sent twice, with NotConnectedError before
   * `connect`.
   */
  send<R extends Request>(request: R): Promise<Answers[R["cmd"]]>;
  send<A = any>(request: object): Promise<A>;
  async send(request: object): Promise<unknown> {
    const { reqId: camel, req_id: snake, ...rest } = request as { reqId?: unknown; req_id?: unknown };
    const reqId = camel ?? snake;
    if (typeof reqId === "string" && Buffer.byteLength(reqId) <= 128) {
      // On the wire the connection has ids of its own.
      const answer = await this.transport.send(JSON.stringify(rest), treatmentOf(rest));
      return { ...answer, reqId };
    }
    const { parks, resend } = treatmentOf(rest);
    // One that is no id is for the daemon to refuse, not to be hidden by one of the connection's.
    return this.transport.send(JSON.stringify(request), { resend, parks: parks && (reqId ?? null) === null });
  }

  /** Events of a queue (`*`: of all); resolves when the daemon tells them. No names: all. */
  async events(queue: string, names: readonly EventName[] = []): Promise<EventStream> {
    await this.transport.ensure();
    return this.#subscriptions.open(queue, names);
  }

  /** Waits for the answers to what was sent, then ends. */
  async close(): Promise<void> {
    this.#subscriptions.end();
    await this.transport.close();
  }

  isConnected(): boolean {
    return this.transport.isConnected();
  }
}

function connectionOf(options: ClientOptions): Connection {
  const settings: ConnectionOptions = {
    connectTimeout: options.connectTimeout ?? DEFAULT_CONNECTION.connectTimeout,
    offlineTimeout: options.offlineTimeout ?? DEFAULT_CONNECTION.offlineTimeout,
    pingInterval: options.pingInterval ?? DEFAULT_CONNECTION.pingInterval,
    closeTimeout: options.closeTimeout ?? DEFAULT_CONNECTION.closeTimeout,
    reconnect: { ...DEFAULT_CONNECTION.reconnect, ...options.reconnect },
    retry: { ...DEFAULT_CONNECTION.retry, ...options.retry },
  };
  const environment = { MQ_URL: process.env["MQ_URL"] };
  return new Connection(resolveAddress(options, environment), settings);
}
