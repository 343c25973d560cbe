// Daemons and workers that die: what was promised is kept. The ledger is the client's: what was answered counts.

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { createServer, type AddressInfo, type Socket } from "node:net";
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { ConnectionLostError, Queue, Worker } from "magicqueue";

import { Daemon, temporaryFolder, uniqueName, until } from "./daemon.js";

const HERE = dirname(fileURLToPath(import.meta.url));

describe("a daemon that is killed and started again under workers", () => {
  for (const lease of [undefined, 5_000]) {
    it(`loses nothing, and nobody has to do anything (${lease === undefined ? "held by connections" : "leased"})`, async () => {
      const folder = temporaryFolder();
      const name = uniqueName();
      let daemon = await Daemon.start("--persist", folder.path);
      const options = { host: "127.0.0.1", port: daemon.port, reconnect: { base: 5, cap: 50 } };
      const done = new Map<number, number>();
      const handler = (job: { id: number }): void => void done.set(job.id, (done.get(job.id) ?? 0) + 1);
      const workers = [1, 2].map(
        () => new Worker(name, handler, { ...options, lease, concurrency: 4, signals: false }),
      );
      workers.forEach((worker) => worker.on("error", () => undefined));
      const over = workers.map((worker) => worker.start());

      const queue = new Queue<number>(name, { ...options, offlineTimeout: 60_000 });
      const accepted: number[] = [];
      let unknown = 0;
      let isPushing = true;
      const pushing = (async () => {
        for (let n = 0; isPushing; n += 1) {
          await Promise.all(
            [0, 1, 2].map(async () => {
              try {
                accepted.push(await queue.push(n));
              } catch (error) {
                // Sent, and nobody knows what became of it: at most one job for each.
                assert.ok(error instanceof ConnectionLostError && error.maybeDone);
                unknown += 1;
              }
            }),
          );
        }
      })();

      for (let kills = 0; kills < 3; kills += 1) {
        const before = done.size;
        await until(() => done.size > before + 50, "jobs to be done");
        await daemon.kill("SIGKILL");
        daemon = await Daemon.start("--persist", folder.path, "--port", String(options.port));
      }
      const last = accepted.length;
      await until(() => accepted.length > last + 20, "pushes after the last start");
      isPushing = false;
      await pushing;
      await until(async () => {
        const counts = await queue.counts();
        return counts?.pending === 0 && counts.processing === 0;
      }, "the queue to be empty");

      const missing = accepted.filter((id) => !done.has(id));
      assert.deepEqual(missing, []);
      assert.ok(done.size <= accepted.length + unknown, "no push was made twice");
      assert.equal(new Set(accepted).size, accepted.length);
      await Promise.all(workers.map((worker) => worker.stop()));
      await Promise.all(over);
      await queue.close();
      await daemon.stop();
      folder.remove();
    });
  }
});

describe("a worker's process", () => {
  let daemon: Daemon;

  before(async () => {
    daemon = await Daemon.start();
  });
  after(() => daemon.stop());

  function spawnWorker(
    name: string,
    hold: string,
    drain = "600000",
  ): { child: ChildProcess; lines: Interface; seen: string[] } {
    const environment = { ...process.env, MQ_URL: `mq://127.0.0.1:${daemon.port}/${name}`, HOLD: hold, DRAIN: drain };
    const file = join(HERE, "worker_process.js");
    const runtime = process.versions["deno"] === undefined ? [file] : ["run", "-A", file];
    const child = spawn(process.execPath, runtime, { env: environment, stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout! });
    const seen: string[] = [];
    lines.on("line", (line) => seen.push(line));
    return { child, lines, seen };
  }

  it("killed, leaves its jobs to another worker within a second", async () => {
    const name = uniqueName();
    const queue = new Queue<number>(name, { host: "127.0.0.1", port: daemon.port });
    const ids = await queue.pushMany([1, 2, 3]);
    const { child, lines } = spawnWorker(name, "ever");
    await once(lines, "line");
    await until(async () => (await queue.counts())?.processing === 3, "all jobs to be held");
    const other = new Worker(name, (job) => job.data, { host: "127.0.0.1", port: daemon.port, signals: false });
    const over = other.start();
    await queue.client.send({ cmd: "PING" });
    const ended = once(child, "exit");
    const killed = Date.now();
    child.kill("SIGKILL");
    assert.deepEqual(await Promise.all(ids.map((id) => queue.waitJob(id))), [1, 2, 3]);
    const took = Date.now() - killed;
    assert.ok(took < 1_000, `took ${took} ms`);
    const job = await queue.getJob(ids[0]!);
    assert.deepEqual([job?.attempts, job?.deliveries], [0, 2]);
    await ended;
    await other.stop();
    await over;
    await queue.close();
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`told to end by ${signal}, finishes what runs, gives back the rest, and ends by itself`, async () => {
      const name = uniqueName();
      const queue = new Queue<number>(name, { host: "127.0.0.1", port: daemon.port });
      const ids = await queue.pushMany([1, 2, 3]);
      const gate = createServer().listen(0, "127.0.0.1");
      const opened = once(gate, "connection") as Promise<[Socket]>;
      await once(gate, "listening");
      const { child, lines, seen } = spawnWorker(name, String((gate.address() as AddressInfo).port));
      await once(lines, "line");
      const ended = once(child, "exit");
      child.kill(signal);
      await until(async () => (await queue.counts())?.pending === 2, "the rest to be given back");
      const [socket] = await opened;
      socket.destroy();
      gate.close();
      // Deno tells the signal that was sent, whatever the process made of it.
      assert.deepEqual(await ended, process.versions["deno"] === undefined ? [0, null] : [null, signal]);
      assert.deepEqual(seen, [String(ids[0]), "stopped"]);
      assert.equal((await queue.getJob(ids[0]!))?.state, "completed");
      assert.equal((await queue.counts())?.pending, 2);
      await queue.close();
    });
  }

  it("told twice to end, does not wait for what runs", async () => {
    const name = uniqueName();
    const queue = new Queue<number>(name, { host: "127.0.0.1", port: daemon.port });
    const ids = await queue.pushMany([1, 2]);
    const { child, lines, seen } = spawnWorker(name, "ever");
    await once(lines, "line");
    child.kill("SIGTERM");
    await until(async () => (await queue.counts())?.pending === 1, "the rest to be given back");
    // Not by child.kill, which in Deno works once.
    process.kill(child.pid!, "SIGTERM");
    await until(() => seen.includes("stopped"), "the worker to stop");
    assert.equal((await queue.getJob(ids[0]!))?.state, "waiting");
    const ended = once(child, "exit");
    process.kill(child.pid!, "SIGKILL");
    await ended;
    await queue.close();
  });

  it("gives back what does not end in time", async () => {
    const name = uniqueName();
    const queue = new Queue<number>(name, { host: "127.0.0.1", port: daemon.port });
    const id = await queue.push(1);
    const { child, lines, seen } = spawnWorker(name, "ever", "50");
    await once(lines, "line");
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await until(() => seen.includes("stopped"), "the worker to stop");
    const job = await queue.getJob(id);
    assert.deepEqual([job?.state, job?.attempts], ["waiting", 0]);
    // Its interval keeps it alive: the signal has its usual effect after a while.
    assert.deepEqual(await ended, [null, "SIGTERM"]);
    await queue.close();
  });
});
