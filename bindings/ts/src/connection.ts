// The one place with a socket: lines out, answers in, and a new connection when the old one is lost. (diagnosis.ts has
// one for a moment, to ask whether a port speaks TLS.)
//
// Requests are written ahead without waiting. Answers come in the order of the requests, but for those that park (PULL,
// PULLB, WAITJOB): they have a reqId on the wire and are found by it. All lines of a tick share a write.
//
// A request is in exactly one place: `#unsent` (no connection), `#inOrder` or `#byId` (sent), `#delayed` (refused for
// now, sent again after a wait); or it is settled.

import { connect as connectSocket, isIP, type Socket } from "node:net";
import process from "node:process";
import { connect as connectSecurely } from "node:tls";

import { describe, type Address, type TlsOptions } from "./address.js";
import type { DroppedEvent, JobEvent } from "./answers.js";
import { waitBefore, type BackoffOptions } from "./backoff.js";
import { AuthFailedError, RETRYABLE_CODES } from "./commands.js";
import { dialError, mistakeInBytes, mistakeInLine, speaksTls, speaksTlsError, tlsOptionsError } from "./diagnosis.js";
import { endOf, newEntry, refusal, settle, type Entry } from "./entry.js";
import { ConfigurationError, ConnectionLostError, NotConnectedError } from "./errors.js";
import { LineSplitter } from "./lines.js";
import { Fifo } from "./fifo.js";
import type { Answer, SendOptions, Transport, TransportListener } from "./transport.js";

/** Times and limits of a connection. Times are milliseconds. */
export interface ConnectionOptions {
  /** How long making a connection may take. */
  connectTimeout: number;
  /** How long a request waits for a lost connection to come back. */
  offlineTimeout: number;
  /**
   * After this long without a byte, while answers are due, the daemon is asked; after twice as long it counts as gone.
   */
  pingInterval: number;
  /** How long `close` waits for the last answers. */
  closeTimeout: number;
  /** Waits between tries to connect again; how many tries (none succeeding) before giving up. */
  reconnect: BackoffOptions & { attempts: number };
  /** Waits before a refused request is sent again; how often. */
  retry: BackoffOptions & { attempts: number };
}

export const DEFAULT_CONNECTION: ConnectionOptions = {
  connectTimeout: 10_000,
  offlineTimeout: 30_000,
  pingInterval: 15_000,
  closeTimeout: 2_000,
  reconnect: { base: 50, cap: 5_000, attempts: Infinity },
  retry: { base: 50, cap: 2_000, attempts: 6 },
};

type State = "new" | "connecting" | "open" | "waiting" | "closing" | "closed";

/** A connection to the daemon that comes back when it is lost. */
export class Connection implements Transport {
  readonly #address: Address;
  readonly #options: ConnectionOptions;
  readonly #listeners = new Set<TransportListener>();
  readonly #lines = new LineSplitter();
  readonly #inOrder = new Fifo<Entry>();
  readonly #byId = new Map<string, Entry>();
  readonly #delayed = new Map<Entry, NodeJS.Timeout>();
  #unsent: Entry[] = [];
  #outgoing: string[] = [];
  #state: State = "new";
  #socket: Socket | undefined;
  #opening: Promise<void> | undefined;
  #returning: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #pinger: NodeJS.Timeout | undefined;
  #wasHeard = true;
  #wasOpen = false;
  /** Nothing has come on this socket. */
  #isFirstChunk = true;
  #nextId = 1;

  constructor(address: Address, options: ConnectionOptions) {
    this.#address = address;
    this.#options = options;
  }

  isConnected(): boolean {
    return this.#state === "open";
  }

  listen(listener: TransportListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async connect(patient = false): Promise<void> {
    if (this.#state === "open") {
      return;
    }
    if (this.#state === "closing") {
      throw new NotConnectedError("the client is closing");
    }
    if (this.#returning !== undefined) {
      return this.#returning;
    }
    await (patient ? this.#comeBack() : this.#open());
  }

  async ensure(): Promise<void> {
    if (this.#opening !== undefined && this.#returning === undefined) {
      await this.#opening;
    } else if (this.#state === "new" || this.#state === "closed") {
      await this.#open();
    }
  }

  send(text: string, options: SendOptions = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#state === "new" || this.#state === "closing" || this.#state === "closed") {
        reject(
          new NotConnectedError(this.#state === "new" ? "Not connected: call connect() first" : "The client is closed"),
        );
        return;
      }
      this.#dispatch(newEntry(text, options, resolve, reject));
    });
  }

  async close(): Promise<void> {
    const socket = this.#socket;
    const wasOpen = this.#state === "open";
    this.#state = wasOpen ? "closing" : "closed";
    this.#wake?.();
    this.#rejectWaiting(new NotConnectedError("The client was closed"));
    if (socket === undefined) {
      return;
    }
    if (!wasOpen) {
      socket.destroy();
      return;
    }
    this.#flush();
    const timer = setTimeout(() => socket.destroy(), this.#options.closeTimeout);
    await new Promise<void>((resolve) => {
      socket.once("close", resolve);
      socket.end();
    });
    clearTimeout(timer);
  }

  // Connecting

  #open(): Promise<void> {
    this.#opening ??= this.#openSocket().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #openSocket(): Promise<void> {
    this.#state = "connecting";
    try {
      this.#socket = await this.#dial();
      this.#attach(this.#socket);
      await this.#greet();
    } catch (error) {
      this.#socket?.destroy();
      this.#socket = undefined;
      if (this.#state === "connecting") {
        this.#state = this.#returning === undefined ? "new" : "waiting";
      }
      if (this.#state === "new") {
        this.#rejectWaiting(error as Error);
      }
      throw error;
    }
    if (this.#state !== "connecting") {
      throw new NotConnectedError("The client was closed while it connected");
    }
    this.#state = "open";
    this.#pinger = setInterval(() => this.#ping(), this.#options.pingInterval);
    this.#pinger.unref();
    const isAgain = this.#wasOpen;
    this.#wasOpen = true;
    this.#tell((listener) => listener.onOpen?.(isAgain));
    for (const entry of this.#unsent.splice(0)) {
      this.#dispatch(entry);
    }
  }

  #dial(): Promise<Socket> {
    const { host, port, unixSocket, tls } = this.#address;
    const plain = (): Socket => connectSocket(unixSocket === undefined ? { host, port } : { path: unixSocket });
    // An address is no server name; a name is needed where several daemons share one place.
    const name = isIP(host) ? {} : { servername: host };
    const secure = (options: TlsOptions): Socket => {
      try {
        return connectSecurely({ host, port, ...name, ...options });
      } catch (error) {
        throw tlsOptionsError(this.#address, error as Error);
      }
    };
    const socket = tls === undefined ? plain() : secure(tls);
    // close() has to find it, to end a try that takes long.
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      const fail = (why: string, cause?: Error): void => {
        clearTimeout(timer);
        socket.destroy();
        reject(dialError(this.#address, why, cause));
      };
      const timer = setTimeout(() => fail("timed out"), this.#options.connectTimeout);
      const onError = (error: Error & { code?: string }): void => fail(error.message || error.code || "failed", error);
      const onClose = (): void => fail("closed");
      socket.once("error", onError).once("close", onClose);
      socket.once(tls === undefined ? "connect" : "secureConnect", () => {
        clearTimeout(timer);
        socket.off("error", onError).off("close", onClose);
        socket.setNoDelay(true);
        resolve(socket);
      });
    });
  }

  #attach(socket: Socket): void {
    this.#isFirstChunk = true;
    let reason: Error | undefined;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk, socket));
    socket.on("error", (error) => (reason = error));
    socket.on("close", () => this.#lose(socket, reason));
  }

  /** Gives the token, or asks whether there is a daemon. Nothing else is sent before that is answered. */
  async #greet(): Promise<void> {
    const { token } = this.#address;
    try {
      await this.#ask(token === undefined ? { cmd: "PING" } : { cmd: "AUTH", token });
    } catch (error) {
      if (!(error instanceof ConnectionLostError) || error instanceof ConfigurationError) {
        throw error;
      }
      if (this.#isFirstChunk && !this.#isEnding() && (await speaksTls(this.#address, this.#options.connectTimeout))) {
        throw speaksTlsError(this.#address);
      }
      // Of what somebody waits for nothing was sent.
      throw new ConnectionLostError(error.message, false, { cause: error.cause });
    }
  }

  #ask(request: object): Promise<Answer> {
    const { connectTimeout } = this.#options;
    const silence = new Error(`no answer for ${connectTimeout} ms`);
    const timer = setTimeout((socket?: Socket) => socket?.destroy(silence), connectTimeout, this.#socket);
    return new Promise<Answer>((resolve, reject) => {
      this.#write(newEntry(JSON.stringify(request), { retry: "never" }, resolve, reject));
    }).finally(() => clearTimeout(timer));
  }

  /** Tries to connect until it succeeds, gives up, or the client is closed. */
  #comeBack(): Promise<void> {
    this.#returning ??= this.#keepTrying().finally(() => {
      this.#returning = undefined;
    });
    return this.#returning;
  }

  async #keepTrying(): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      // The very first connection of a client that keeps trying needs no wait.
      if (failures > 0 || this.#wasOpen) {
        this.#state = "waiting";
        await this.#pause(waitBefore(failures, this.#options.reconnect));
      }
      if (this.#isEnding()) {
        throw new NotConnectedError("The client was closed");
      }
      try {
        await this.#open();
        return;
      } catch (error) {
        if (this.#isEnding()) {
          throw error;
        }
        const isFinal = error instanceof AuthFailedError || error instanceof ConfigurationError;
        if (isFinal || failures + 1 >= this.#options.reconnect.attempts) {
          this.#state = "new";
          this.#rejectWaiting(error as Error);
          throw error;
        }
        this.#tell((listener) => listener.onTrouble?.(error as Error, false));
      }
    }
  }

  #isEnding(): boolean {
    return this.#state === "closing" || this.#state === "closed";
  }

  /** Waits; close() ends the wait. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  // Sending

  #dispatch(entry: Entry): void {
    if (this.#state === "open") {
      this.#write(entry);
      return;
    }
    this.#unsent.push(entry);
    if (entry.options.patient !== true && entry.offlineTimer === undefined) {
      const { offlineTimeout } = this.#options;
      entry.offlineTimer = setTimeout(() => {
        this.#unsent = this.#unsent.filter((other) => other !== entry);
        const text = `No connection to ${describe(this.#address)} for ${offlineTimeout} ms`;
        settle(entry, new ConnectionLostError(text, entry.sentBefore));
      }, offlineTimeout);
    }
  }

  #write(entry: Entry): void {
    clearTimeout(entry.offlineTimer);
    entry.offlineTimer = undefined;
    if (entry.options.parks === true) {
      const id = `m${(this.#nextId++).toString(36)}`;
      this.#byId.set(id, entry);
      this.#outgoing.push(`${entry.text.slice(0, -1)},"reqId":"${id}"}\n`);
    } else {
      this.#inOrder.push(entry);
      this.#outgoing.push(`${entry.text}\n`);
    }
    if (this.#outgoing.length === 1) {
      // A tick begins when all continuations of the answers just read have run: what they send shares a write.
      process.nextTick(() => this.#flush());
    }
  }

  #flush(): void {
    if (this.#outgoing.length > 0 && this.#socket !== undefined) {
      const text = this.#outgoing.length === 1 ? this.#outgoing[0]! : this.#outgoing.join("");
      this.#outgoing = [];
      this.#socket.write(text);
    }
  }

  #ping(): void {
    const isDue = this.#inOrder.length > 0 || this.#byId.size > 0;
    if (isDue && !this.#wasHeard) {
      this.#socket?.destroy(new Error(`no answer for ${2 * this.#options.pingInterval} ms`));
    } else if (isDue) {
      this.#wasHeard = false;
      this.send('{"cmd":"PING"}', { retry: "never" }).catch(() => undefined);
    }
  }

  // Receiving

  #receive(chunk: Buffer, socket: Socket): void {
    this.#wasHeard = true;
    const mistake = this.#isFirstChunk ? mistakeInBytes(this.#address, chunk) : undefined;
    this.#isFirstChunk = false;
    if (mistake !== undefined) {
      socket.destroy(mistake);
      return;
    }
    for (const line of this.#lines.push(chunk)) {
      let answer: Answer;
      try {
        answer = JSON.parse(line) as Answer;
      } catch (error) {
        const why = new Error("the daemon sent a line that is no JSON", { cause: error });
        socket.destroy(mistakeInLine(this.#address, line) ?? why);
        return;
      }
      if (typeof answer["event"] === "string" && answer["ok"] === undefined) {
        this.#tell((listener) => listener.onEvent?.(answer as unknown as JobEvent | DroppedEvent));
      } else if (!this.#settleAnswer(answer)) {
        const text = typeof answer["error"] === "string" ? answer["error"] : "an answer that nothing asked for";
        socket.destroy(new Error(text));
        return;
      }
    }
  }

  #settleAnswer(answer: Answer): boolean {
    const id = answer["reqId"];
    let entry = typeof id === "string" ? this.#byId.get(id) : undefined;
    if (entry !== undefined) {
      this.#byId.delete(id as string);
      delete answer["reqId"];
    } else {
      entry = this.#inOrder.shift();
    }
    if (entry === undefined) {
      return false;
    }
    if (answer["ok"] !== false) {
      settle(entry, answer);
    } else if (!this.#retry(entry, answer)) {
      settle(entry, refusal(answer, entry.sentBefore));
    }
    return true;
  }

  /** Puts a refused request aside to be sent again, if that may help. */
  #retry(entry: Entry, answer: Answer): boolean {
    const { retry } = this.#options;
    const code = answer["code"];
    // `timeout` is the end of the caller's own wait.
    const mayHelp = typeof code === "string" && RETRYABLE_CODES.has(code) && code !== "timeout";
    const attempts = { limited: retry.attempts, never: 0, forever: Infinity }[entry.options.retry ?? "limited"];
    if (!mayHelp || entry.refusals >= attempts || this.#isEnding()) {
      return false;
    }
    const wait = waitBefore(entry.refusals, retry);
    entry.refusals += 1;
    const again = (): void => {
      this.#delayed.delete(entry);
      this.#dispatch(entry);
    };
    this.#delayed.set(entry, setTimeout(again, wait));
    return true;
  }

  // Losing

  #lose(socket: Socket, reason: Error | undefined): void {
    if (socket !== this.#socket) {
      return;
    }
    this.#socket = undefined;
    this.#outgoing = [];
    this.#lines.clear();
    clearInterval(this.#pinger);
    this.#wasHeard = true;
    const text = `Connection to ${describe(this.#address)} lost${reason === undefined ? "" : `: ${reason.message}`}`;
    const isOver = this.#state === "closing";
    const wasOpen = this.#state === "open";
    if (isOver) {
      this.#state = "closed";
    }
    const sent = [...this.#inOrder.drain(), ...this.#byId.values()];
    this.#byId.clear();
    const kept: Entry[] = [];
    for (const entry of sent) {
      entry.sentBefore = true;
      if (wasOpen && entry.options.resend === true) {
        kept.push(entry);
      } else {
        const isMistake = reason instanceof ConfigurationError;
        settle(entry, isMistake ? reason : new ConnectionLostError(text, true, { cause: reason }));
      }
    }
    if (wasOpen) {
      this.#state = "waiting";
      this.#tell((listener) => listener.onTrouble?.(new ConnectionLostError(text, true, { cause: reason }), true));
      this.#comeBack().catch(() => undefined);
      // Behind #comeBack, so that their time without a connection begins now.
      kept.forEach((entry) => this.#dispatch(entry));
    }
  }

  #rejectWaiting(error: Error): void {
    for (const entry of this.#unsent.splice(0)) {
      settle(entry, endOf(entry, error));
    }
    for (const [entry, timer] of this.#delayed) {
      clearTimeout(timer);
      settle(entry, endOf(entry, error));
    }
    this.#delayed.clear();
  }

  #tell(what: (listener: TransportListener) => void): void {
    for (const listener of [...this.#listeners]) {
      what(listener);
    }
  }
}
