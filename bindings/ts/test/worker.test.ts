import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";

import {
  AuthFailedError,
  InvalidError,
  JobLostError,
  JobTimeoutError,
  MagicQueueClient,
  Queue,
  UnrecoverableError,
  Worker,
  WorkerStoppedError,
  type Job,
  type JobHandler,
  type Middleware,
  type WorkerOptions,
} from "magicqueue";

import { Daemon, deferred, uniqueName, until } from "./daemon.js";

describe("a worker", () => {
  let daemon: Daemon;
  let client: MagicQueueClient;
  let queue: Queue<number, unknown>;
  const workers: { worker: Worker; over: Promise<void> }[] = [];

  before(async () => {
    daemon = await Daemon.start();
  });
  after(() => daemon.stop());
  beforeEach(async () => {
    client = new MagicQueueClient({ host: "127.0.0.1", port: daemon.port });
    await client.connect();
    queue = new Queue(uniqueName(), { client });
  });
  afterEach(async () => {
    await Promise.all(
      workers.splice(0).map(async ({ worker, over }) => {
        await worker.stop({ drain: 0 });
        await over;
      }),
    );
    await client.close();
  });

  function start(handler: JobHandler<number>, options: WorkerOptions = {}): Worker<number> {
    const worker = new Worker<number>(queue.name, handler, {
      host: "127.0.0.1",
      port: daemon.port,
      signals: false,
      ...options,
    });
    worker.on("error", () => undefined);
    workers.push({ worker, over: worker.start() });
    return worker;
  }

  const stateOf = async (id: number): Promise<string | undefined> => (await queue.getJob(id))?.state;

  it("runs each job once and stores what its handler returns", async () => {
    const seen: number[] = [];
    const completed: number[] = [];
    const worker = start((job) => {
      seen.push(job.data);
      return { square: job.data ** 2 };
    });
    worker.on("completed", (job) => completed.push(job.id));
    const ids = await queue.pushMany(Array.from({ length: 500 }, (_, i) => i));
    await until(async () => completed.length === 500, "all jobs");
    assert.deepEqual(
      seen,
      ids.map((_, i) => i),
    );
    assert.deepEqual(
      completed.sort((a, b) => a - b),
      ids,
    );
    assert.deepEqual(await queue.getResult(ids[7]!), { square: 49 });
    assert.deepEqual(await queue.getResult(ids[499]!), { square: 499 ** 2 });
    assert.equal((await queue.counts())?.processing, 0);
  });

  it("stores null for a handler that returns nothing", async () => {
    start(() => undefined);
    const id = await queue.push(1);
    assert.equal(await queue.waitJob(id), null);
    assert.equal(await stateOf(id), "completed");
  });

  it("runs as many handlers at once as it may, no more", async () => {
    let running = 0;
    let most = 0;
    const all = deferred();
    start(
      async () => {
        running += 1;
        most = Math.max(most, running);
        if (running === 4) {
          all.resolve();
        }
        await all.promise;
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
      },
      { concurrency: 4 },
    );
    const ids = await queue.pushMany(Array.from({ length: 40 }, (_, i) => i));
    await Promise.all(ids.map((id) => queue.waitJob(id)));
    assert.equal(most, 4);
  });

  it("fetches no more ahead than it is told", async () => {
    const gate = deferred();
    start(() => gate.promise, { concurrency: 2, batchSize: 3 });
    await queue.pushMany(Array.from({ length: 20 }, (_, i) => i));
    await until(async () => (await queue.counts())?.processing === 4, "two running and two waiting");
    await client.send({ cmd: "PING" });
    assert.equal((await queue.counts())?.processing, 4);
    gate.resolve();
  });

  it("with batchSize 1 leaves to others what it cannot start", async () => {
    const gate = deferred();
    start(() => gate.promise, { batchSize: 1 });
    await queue.push(1);
    await until(async () => (await queue.counts())?.processing === 1, "the first");
    const other: number[] = [];
    start((job) => void other.push(job.data), { batchSize: 1 });
    await queue.pushMany([2, 3]);
    await until(() => other.length === 2, "the other worker");
    gate.resolve();
  });

  it("makes a job fail with what its handler throws; it is retried", async () => {
    const failures: unknown[] = [];
    const worker = start((job) => {
      if (job.attempts < 2) {
        throw new Error(`attempt ${job.attempts}`);
      }
      return job.last_error;
    });
    worker.on("failed", (_, error) => failures.push((error as Error).message));
    assert.equal(await queue.pushAndWait(1, { backoff: 1 }), "attempt 1");
    assert.deepEqual(failures, ["attempt 0", "attempt 1"]);
  });

  it("sends a job to the dead-letter queue at once for an UnrecoverableError", async () => {
    start(() => {
      throw new UnrecoverableError("never");
    });
    await assert.rejects(queue.pushAndWait(1, { maxAttempts: 5 }), /never/);
    assert.deepEqual(
      (await queue.getDlq()).map((job) => [job.attempts, job.last_error]),
      [[1, "never"]],
    );
  });

  it("makes a job fail whose result is no JSON or too large", async () => {
    const results: unknown[] = [10n, "x".repeat(2 << 20)];
    start((job) => results[job.data], { concurrency: 3 });
    const ids = await queue.pushMany([0, 1, 2]);
    await assert.rejects(queue.waitJob(ids[0]!), /no JSON/);
    await assert.rejects(queue.waitJob(ids[1]!), /too large/);
    assert.equal(await queue.waitJob(ids[2]!), null);
  });

  it("notes progress", async () => {
    const gate = deferred();
    const noted = deferred();
    start(async (_, ctx) => {
      await ctx.updateProgress(41.6, "half");
      noted.resolve();
      await gate.promise;
    });
    const id = await queue.push(1);
    await noted.promise;
    assert.deepEqual(await queue.getProgress(id), { progress: 42, message: "half" });
    gate.resolve();
  });

  it("aborts the signal when a job's timeout has passed, and its result does not count", async () => {
    const reasons: unknown[] = [];
    const lost: Error[] = [];
    const worker = start(async (job, ctx) => {
      if (job.attempts === 0) {
        await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
        reasons.push(ctx.signal.reason);
        return "late";
      }
      return "in time";
    });
    worker.on("lost", (_, error) => lost.push(error));
    assert.equal(await queue.pushAndWait(1, { timeout: 50 }), "in time");
    assert.ok(reasons[0] instanceof JobTimeoutError);
    assert.equal(lost.length, 1);
  });

  it("keeps a leased job by heartbeats, far beyond its lease", async () => {
    // A heartbeat each half second; a machine that stands still for a whole one loses the job.
    const lease = 1_500;
    const events = await queue.events("stalled", "completed");
    start(() => new Promise((resolve) => setTimeout(resolve, 2.2 * lease, "done")), { lease });
    assert.equal(await queue.pushAndWait(1), "done");
    assert.equal(((await events.next()).value as { event: string }).event, "completed");
    await events.return();
  });

  it("with a lease enforces a job's timeout itself", async () => {
    start((_, ctx) => new Promise((resolve) => ctx.signal.addEventListener("abort", resolve)), { lease: 90 });
    // Each heartbeat starts the daemon's timeout again: without the worker's own the job would never end.
    await assert.rejects(queue.pushAndWait(1, { timeout: 100, maxAttempts: 1 }), /^FailedError: Timed out/);
  });

  it("hears of a leased job that was taken away", async () => {
    const lost = deferred<Error>();
    const worker = start((_, ctx) => new Promise((resolve) => ctx.signal.addEventListener("abort", resolve)), {
      lease: 90,
    });
    worker.on("lost", (_, error) => lost.resolve(error));
    const id = await queue.push(1);
    await until(async () => (await stateOf(id)) === "active", "the start");
    await queue.cancel(id);
    assert.ok((await lost.promise) instanceof JobLostError);
  });

  it("says which jobs were lost when their acknowledgement is refused", async () => {
    const gate = deferred();
    const lost: number[] = [];
    const completed: number[] = [];
    const worker = start(() => gate.promise, { concurrency: 3 });
    worker.on("lost", (job) => lost.push(job.id)).on("completed", (job) => completed.push(job.id));
    const ids = await queue.pushMany([1, 2, 3]);
    await until(async () => (await queue.counts())?.processing === 3, "the start");
    // Given back behind the worker's back.
    await client.send({ cmd: "RELEASE", id: ids[1]!, delay: 60_000 });
    gate.resolve();
    await until(() => lost.length + completed.length === 3, "the outcomes");
    assert.deepEqual(lost, [ids[1]]);
  });

  it("stops: gives back what has not started and waits for what runs", async () => {
    const [gate, started] = [deferred(), deferred()];
    const handler = (): Promise<unknown> => (started.resolve(), gate.promise);
    const worker = start(handler, { batchSize: 5 });
    const ids = await queue.pushMany([1, 2, 3, 4]);
    await until(async () => (await queue.counts())?.processing === 4, "all to be pulled");
    await started.promise; // what was pulled may still be on its way: a worker that stops then begins none of it
    const stopped = worker.stop();
    await until(async () => (await queue.counts())?.pending === 3, "the rest to be given back");
    assert.equal(await stateOf(ids[0]!), "active");
    gate.resolve();
    await stopped;
    assert.equal(await stateOf(ids[0]!), "completed");
    const back = await queue.getJob(ids[1]!);
    assert.deepEqual([back?.state, back?.attempts], ["waiting", 0]);
    assert.equal(client.isConnected(), true);
  });

  for (const lease of [undefined, 60_000]) {
    it(`stops in time: releases what still runs, no attempt spent (${lease === undefined ? "held" : "leased"})`, async () => {
      const [started, reason] = [deferred(), deferred<unknown>()];
      const worker = start(
        async (_, ctx) => {
          started.resolve();
          await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
          reason.resolve(ctx.signal.reason);
          return "late";
        },
        { lease },
      );
      const id = await queue.push(1);
      await started.promise;
      await worker.stop({ drain: 1 });
      assert.ok((await reason.promise) instanceof WorkerStoppedError);
      const job = await queue.getJob(id);
      assert.deepEqual([job?.state, job?.attempts], ["waiting", 0]);
    });
  }

  it("can start again after it has stopped", async () => {
    const worker = new Worker<number>(queue.name, (job) => job.data, {
      host: "127.0.0.1",
      port: daemon.port,
      signals: false,
    });
    for (const n of [1, 2]) {
      const over = worker.start();
      assert.equal(await queue.pushAndWait(n), n);
      await worker.stop();
      await over;
    }
    await worker.stop();
  });

  it("stops before it could connect", async () => {
    const worker = new Worker("q", () => undefined, { host: "127.0.0.1", port: 1, signals: false });
    const failed = deferred();
    worker.on("error", () => failed.resolve());
    const over = worker.start();
    await failed.promise;
    await worker.stop();
    await over;
  });

  it("ends with an error when the daemon refuses it for good", async () => {
    const options = { host: "127.0.0.1", port: daemon.port, signals: false };
    await assert.rejects(new Worker("", () => undefined, options).start(), InvalidError);
    const guarded = await Daemon.start("--auth-tokens", "s3cret");
    const stranger = new Worker("q", () => undefined, { ...options, port: guarded.port, token: "wrong" });
    await assert.rejects(stranger.start(), AuthFailedError);
    await guarded.stop();
  });

  it("refuses counts that are none", () => {
    for (const options of [{ concurrency: 0 }, { batchSize: -1 }, { concurrency: 1.5 }, { lease: NaN }]) {
      assert.throws(() => new Worker("q", () => undefined, options), RangeError);
    }
  });

  it("runs handlers inside its middleware", async () => {
    const log: string[] = [];
    const named = (name: string): Middleware => ({
      async process(job, _context, next) {
        log.push(`${name} ${(job as Job<number>).data}`);
        try {
          return `${name}(${String(await next())})`;
        } catch (error) {
          log.push(`${name} caught`);
          throw error;
        }
      },
    });
    start(
      (job) => {
        if (job.data === 2) {
          throw new UnrecoverableError("two");
        }
        return job.data;
      },
      { middleware: [named("a"), {}, named("b")] },
    );
    assert.equal(await queue.pushAndWait(1), "a(b(1))");
    await assert.rejects(queue.pushAndWait(2), /two/);
    assert.deepEqual(log, ["a 1", "b 1", "a 2", "b 2", "b caught", "a caught"]);
  });

  it("shares a queue with others without running a job twice", async () => {
    const seen = new Map<number, number>();
    for (let i = 0; i < 3; i += 1) {
      start((job) => void seen.set(job.data, (seen.get(job.data) ?? 0) + 1), { concurrency: 5 });
    }
    const ids = await queue.pushMany(Array.from({ length: 600 }, (_, i) => i));
    await Promise.all(ids.map((id) => queue.waitJob(id)));
    assert.equal(seen.size, 600);
    assert.ok([...seen.values()].every((count) => count === 1));
  });
});
