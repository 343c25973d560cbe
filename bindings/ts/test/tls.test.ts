// A daemon that speaks TLS: clients that trust it, clients that do not, and one that is killed under a worker.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { ConnectionLostError, MagicQueueClient, Queue, Worker } from "magicqueue";

import { Daemon, ROOT, uniqueName } from "./daemon.js";

const CERTIFICATE = join(ROOT, "tests/data/tls/certificate.pem");
const FLAGS = ["--tls-cert", CERTIFICATE, "--tls-key", join(ROOT, "tests/data/tls/key.pem")];
const ca = readFileSync(CERTIFICATE);

describe("TLS", () => {
  let daemon: Daemon;

  before(async () => {
    daemon = await Daemon.start(...FLAGS);
  });

  after(async () => {
    await daemon.stop();
  });

  it("carries pushes, batches and a worker", async () => {
    const place = { host: "localhost", port: daemon.port, tls: { ca } };
    const name = uniqueName("tls");
    const queue = new Queue<string, number>(name, place);
    const worker = new Worker<string, number>(name, async (job) => job.data.length, place);
    const stopped = worker.start();
    assert.equal(await queue.pushAndWait("x".repeat(300_000)), 300_000);
    const ids = await queue.pushMany(Array.from({ length: 500 }, () => "y"));
    assert.equal(new Set(ids).size, 500);
    await worker.stop();
    await stopped;
    await queue.close();
  });

  it("is asked for by a URL", async () => {
    const client = new MagicQueueClient({ url: `mqs://localhost:${daemon.port}`, tls: { ca } });
    await client.connect();
    assert.deepEqual(await client.send({ cmd: "PING" }), { ok: true, pong: true });
    await client.close();
  });

  it("ends for a client that does not trust the daemon", async () => {
    const client = new MagicQueueClient({ host: "localhost", port: daemon.port, tls: true });
    await assert.rejects(client.connect(), ConnectionLostError);
    await client.close();
  });
});
