// A client that is set up differently from its daemon is told what is wrong, at once, and does not try for ever.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import {
  ConfigurationError,
  ConnectionLostError,
  MagicQueueClient,
  Queue,
  Worker,
  type ClientOptions,
} from "magicqueue";

import { Daemon, ROOT } from "./daemon.js";

const CERTIFICATE = join(ROOT, "tests/data/tls/certificate.pem");
const TLS_FLAGS = ["--tls-cert", CERTIFICATE, "--tls-key", join(ROOT, "tests/data/tls/key.pem")];
const ca = readFileSync(CERTIFICATE);

/** What many servers of TLS (not the daemon) answer to what is not TLS; its last byte is a line's end. */
const ALERT = Buffer.from([0x15, 3, 1, 0, 2, 2, 0x0a]);

let secure: Daemon;
let plain: Daemon;

before(async () => {
  // The certificate is for localhost and 127.0.0.1.
  const http = ["--http", "1", "--http-port", "0"];
  secure = await Daemon.start(...TLS_FLAGS, "--host", "127.0.0.1,127.0.0.2", ...http);
  plain = await Daemon.start(...http);
});

after(async () => {
  await secure.stop();
  await plain.stop();
});

const CASES: Record<string, { options: () => ClientOptions; text: RegExp }> = {
  "plain to TLS": { options: () => ({ port: secure.port }), text: /this port speaks TLS: use mqs:\/\/ or tls/ },
  "plain with a token to TLS": {
    options: () => ({ port: secure.port, token: "x" }),
    text: /this port speaks TLS: use mqs:\/\/ or tls/,
  },
  "TLS to plain": {
    options: () => ({ port: plain.port, tls: { ca } }),
    text: /this port does not speak TLS: use mq:\/\//,
  },
  "plain to HTTP": { options: () => ({ port: plain.httpPort }), text: /this is an HTTP port/ },
  "plain with a token to HTTP": {
    options: () => ({ port: plain.httpPort, token: "x" }),
    text: /this is an HTTP port/,
  },
  "TLS to HTTPS": { options: () => ({ port: secure.httpPort, tls: { ca } }), text: /this is an HTTP port/ },
  "not trusted": {
    options: () => ({ port: secure.port, tls: true }),
    text: /certificate is not trusted: self.signed certificate; .*\{ ca \}/,
  },
  "another name": {
    options: () => ({ host: "127.0.0.2", port: secure.port, tls: { ca } }),
    text: /certificate is for another name: .*127\.0\.0\.2/,
  },
  "no certificates": {
    options: () => ({ port: secure.port, tls: { cert: "nonsense", key: "nonsense" } }),
    // Deno takes them, and does not use them.
    text: /options of tls cannot be used|certificate is not trusted/,
  },
};

for (const [name, { options, text }] of Object.entries(CASES)) {
  describe(`a client set up differently (${name})`, () => {
    const isTold = (error: unknown): boolean => {
      assert.ok(error instanceof ConfigurationError, String(error));
      assert.match(error.message, text);
      assert.equal(error.maybeDone, false);
      return true;
    };

    it("is told so when it connects, and when it pushes", async () => {
      const place = { host: "127.0.0.1", ...options() };
      const client = new MagicQueueClient(place);
      await assert.rejects(client.connect(), isTold);
      assert.equal(client.isConnected(), false);
      await client.close();
      const queue = new Queue("q", place);
      await assert.rejects(queue.push(1), isTold);
      await queue.close();
    });

    it("ends as a worker", async () => {
      const worker = new Worker("q", () => undefined, { host: "127.0.0.1", ...options(), signals: false });
      let errors = 0;
      // One that goes on trying makes the test fail, not run for ever.
      worker.on("error", () => (errors += 1) >= 10 && void worker.stop());
      await assert.rejects(worker.start(), isTold);
    });
  });
}

describe("a client", () => {
  it("ends when its daemon comes back with TLS", async () => {
    const daemon = await Daemon.start();
    const worker = new Worker("q", () => undefined, {
      host: "127.0.0.1",
      port: daemon.port,
      signals: false,
      reconnect: { cap: 200 },
    });
    worker.on("error", () => undefined);
    const ended = assert.rejects(worker.start(), ConfigurationError);
    const events = await new Queue("q", { host: "127.0.0.1", port: daemon.port, client: worker.client }).events();
    await daemon.stop();
    await events.return();
    const again = await Daemon.start("--port", String(daemon.port), ...TLS_FLAGS);
    await ended;
    await again.stop();
  });

  it("reads an alert of TLS, even in pieces", async () => {
    const server = await serve((socket) => {
      socket.once("data", () => {
        socket.write(ALERT.subarray(0, 1));
        socket.end(ALERT.subarray(1));
      });
    });
    const client = new MagicQueueClient({ host: "127.0.0.1", port: portOf(server) });
    await assert.rejects(client.connect(), (error) => error instanceof ConfigurationError && /TLS/.test(error.message));
    await client.close();
    server.close();
  });

  it("tries again where a daemon hangs up without a word", async () => {
    let connections = 0;
    const server = await serve((socket) => {
      connections += 1;
      const isFirst = connections === 1;
      socket.once("data", (chunk) => {
        if (chunk[0] !== "{".charCodeAt(0)) {
          socket.end('{"ok":false,"error":"Invalid: no JSON","code":"invalid"}\n');
        } else if (isFirst) {
          socket.destroy();
        } else {
          socket.write('{"ok":true,"pong":true}\n');
        }
      });
    });
    const place = { host: "127.0.0.1", port: portOf(server), closeTimeout: 50 };
    const client = new MagicQueueClient(place);
    // The first connection of a client that is not patient is its only one.
    await assert.rejects(client.connect(), (error) => {
      return error instanceof ConnectionLostError && !(error instanceof ConfigurationError) && !error.maybeDone;
    });
    await client.connect();
    assert.equal(client.isConnected(), true);
    await client.close();
    server.close();
  });
});

async function serve(answer: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    answer(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
