// A connection to the daemon in memory.

import type { JobEvent } from "../answers.js";
import { REFUSALS, RETRYABLE_CODES, type ErrorCode } from "../commands.js";
import { NotConnectedError } from "../errors.js";
import type { Answer, Transport, TransportListener } from "../transport.js";
import { execute } from "./fake_commands.js";
import { FakeRefusal } from "./fake_refusal.js";
import type { FakeServer } from "./fake_server.js";

/** Requests are carried out in order, each in a turn of its own; answers come after the call has returned. */
export class FakeTransport implements Transport {
  readonly server: FakeServer;
  /** Events of each queue that this connection wants to be told; an empty list: all. */
  readonly subscriptions = new Map<string, readonly string[]>();
  readonly #listeners = new Set<TransportListener>();
  #isConnected = false;
  #wasConnected = false;
  #seq = 0;

  constructor(server: FakeServer) {
    this.server = server;
  }

  isConnected(): boolean {
    return this.#isConnected;
  }

  async connect(): Promise<void> {
    if (!this.#isConnected) {
      this.#isConnected = true;
      const isAgain = this.#wasConnected;
      this.#wasConnected = true;
      this.#listeners.forEach((listener) => listener.onOpen?.(isAgain));
    }
  }

  ensure(): Promise<void> {
    return this.connect();
  }

  listen(listener: TransportListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  send(text: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (!this.#isConnected) {
        reject(new NotConnectedError("Not connected: call connect() first"));
        return;
      }
      // Through JSON, as over a socket: what a test sees is what a daemon would have seen.
      const request = JSON.parse(text) as Record<string, unknown>;
      const answer = (members: Answer): void => resolve(JSON.parse(JSON.stringify({ ok: true, ...members })) as Answer);
      const refuse = (error: FakeRefusal): void => reject(errorOf(error));
      queueMicrotask(() => {
        try {
          execute(this, request, answer, refuse);
        } catch (error) {
          reject(error instanceof FakeRefusal ? errorOf(error) : error);
        }
        this.server.settle();
      });
    });
  }

  async close(): Promise<void> {
    // What was sent is carried out first.
    await new Promise<void>((resolve) => queueMicrotask(resolve));
    this.#isConnected = false;
    this.subscriptions.clear();
    this.#seq = 0;
    this.server.disconnect(this);
  }

  /** Passes an event on, if this connection has subscribed to it. */
  tell(event: Omit<JobEvent, "seq">): void {
    const wanted = [this.subscriptions.get(event.queue), this.subscriptions.get("*")];
    if (wanted.some((names) => names !== undefined && (names.length === 0 || names.includes(event.event)))) {
      this.#seq += 1;
      const line: JobEvent = { ...event, seq: this.#seq };
      queueMicrotask(() => this.#listeners.forEach((listener) => listener.onEvent?.(line)));
    }
  }
}

function errorOf(error: FakeRefusal): Error {
  return new REFUSALS[error.code as ErrorCode](error.message, error.code, RETRYABLE_CODES.has(error.code));
}
