// What stands between the commands and the daemon. Connection is the real one; magicqueue/testing has one without a
// socket.

import type { JobEvent, DroppedEvent } from "./answers.js";

/** An answer, or a line about an event, as parsed. */
export type Answer = Record<string, unknown>;

/** How a request is sent, beyond its text. */
export interface SendOptions {
  /** Its answer may have to wait. */
  parks?: boolean;
  /** It may be sent again after a lost connection. */
  resend?: boolean;
  /** It waits for the daemon for ever, not only `offlineTimeout`. */
  patient?: boolean;
  /**
   * It is sent again when the refusal says that this may help: as often as the options say (default), never, for ever.
   */
  retry?: "limited" | "never" | "forever";
}

/** What a transport tells whoever uses it. */
export interface TransportListener {
  /** A line about an event has come. */
  onEvent?(event: JobEvent | DroppedEvent): void;
  /** The connection is there, for the first time or again. */
  onOpen?(isAgain: boolean): void;
  /** The connection was lost, or a try to make it again has failed. */
  onTrouble?(error: Error, isLoss: boolean): void;
}

/** Carries requests to a daemon. */
export interface Transport {
  /** Resolves when requests can be sent. `patient`: keeps trying. */
  connect(patient?: boolean): Promise<void>;
  /** Connects if nobody has connected; does not wait for a lost connection to come back. */
  ensure(): Promise<void>;
  /**
   * Sends one request: a JSON object as text. Resolves with the answer, rejects with a RefusedError or a lost
   * connection.
   */
  send(text: string, options?: SendOptions): Promise<Answer>;
  /** Answers what was sent, then ends. What waits is answered as if its wait had ended. */
  close(): Promise<void>;
  isConnected(): boolean;
  /** Calls `listener` until the function returned is called. */
  listen(listener: TransportListener): () => void;
}
