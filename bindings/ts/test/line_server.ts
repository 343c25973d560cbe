// A server of lines whose every answer the test writes: for what a real daemon does only when it is in trouble.

import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { LineSplitter } from "#dist/lines.js";

export type Received = Record<string, unknown> & { cmd: string; reqId?: string };

const TLS_HANDSHAKE = 0x16;

/** Serves one queue of requests over however many connections. */
export class LineServer {
  /** How many connections there have been. */
  connections = 0;
  readonly #server: Server;
  readonly #requests: { request: Received; socket: Socket }[] = [];
  #waiter: (() => void) | undefined;
  #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(port = 0): Promise<LineServer> {
    const server = createServer();
    const self = new LineServer(server);
    server.on("connection", (socket) => self.#serve(socket));
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return self;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Requests that have come and were not looked at. */
  get unread(): number {
    return this.#requests.length;
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    const lines = new LineSplitter();
    let isGreeted = false;
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      if (!isGreeted && chunk[0] === TLS_HANDSHAKE) {
        // A client that had no answer asks whether this is a port of TLS.
        socket.destroy();
        return;
      }
      for (const line of lines.push(chunk)) {
        const request = JSON.parse(line) as Received;
        // A client without a token asks first whether there is a daemon.
        if (!isGreeted && request.cmd === "PING") {
          socket.write('{"ok":true,"pong":true}\n');
        } else {
          this.#requests.push({ request, socket });
        }
        isGreeted = true;
      }
      this.#waiter?.();
    });
  }

  /** The next request. */
  async next(): Promise<Received> {
    return (await this.#take()).request;
  }

  /** Takes the next request and answers it; resolves with it. */
  async answer(answer: Record<string, unknown> | string): Promise<Received> {
    const { request, socket } = await this.#take();
    const id = request.reqId === undefined ? {} : { reqId: request.reqId };
    socket.write(typeof answer === "string" ? answer : `${JSON.stringify({ ...answer, ...id })}\n`);
    return request;
  }

  /** Takes the next request and cuts its connection instead of answering. */
  async cut(): Promise<Received> {
    const { request, socket } = await this.#take();
    socket.destroy();
    return request;
  }

  async #take(): Promise<{ request: Received; socket: Socket }> {
    while (this.#requests.length === 0) {
      await new Promise<void>((resolve) => (this.#waiter = resolve));
    }
    return this.#requests.shift()!;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#sockets.forEach((socket) => socket.destroy());
    await closed;
  }
}
