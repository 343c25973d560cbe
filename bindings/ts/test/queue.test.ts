import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import process from "node:process";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";

import {
  AuthRequiredError,
  BadIdError,
  BatchRefusedError,
  DuplicateError,
  FailedError,
  InvalidError,
  MagicQueueClient,
  MagicQueueError,
  NotFoundError,
  Queue,
  REFUSALS,
  RefusedError,
  TimeoutError,
  Worker,
  type Job,
  type JobEvent,
  type Middleware,
} from "magicqueue";

import { Daemon, temporaryFolder, uniqueName } from "./daemon.js";

interface Email {
  to: string;
}

describe("a queue", () => {
  let daemon: Daemon;
  let client: MagicQueueClient;
  let queue: Queue<Email, string>;
  const folder = temporaryFolder();
  const socket = join(folder.path, "mq.sock");

  before(async () => {
    daemon = await Daemon.start("--unix-socket", socket);
  });
  after(async () => {
    await daemon.stop();
    folder.remove();
  });
  beforeEach(async () => {
    client = new MagicQueueClient({ host: "127.0.0.1", port: daemon.port });
    await client.connect();
    queue = new Queue<Email, string>(uniqueName(), { client });
  });
  afterEach(() => client.close());

  async function pull(name = queue.name): Promise<Job> {
    const { job } = await client.send({ cmd: "PULL", queue: name, timeout: 0 });
    assert.ok(job !== null, "there is a job");
    return job;
  }

  it("connects by itself, and again after close", async () => {
    const own = new Queue<Email>(queue.name, { host: "127.0.0.1", port: daemon.port });
    const first = await own.push({ to: "a" });
    await own.close();
    const second = await own.push({ to: "b" });
    await own.close();
    assert.ok(second > first);
    assert.equal((await queue.counts())?.pending, 2);
  });

  it("closes when the pushes that were begun are done", async () => {
    const own = new Queue<Email>(queue.name, { host: "127.0.0.1", port: daemon.port });
    await own.connect();
    const pushes = Array.from({ length: 100 }, () => own.push({ to: "a" }));
    await own.close();
    assert.equal(new Set(await Promise.all(pushes)).size, 100);
    assert.equal((await queue.counts())?.pending, 100);
  });

  it("reaches a daemon by a Unix socket, a URL, and MQ_URL", async () => {
    const byPath = new Queue(queue.name, { unixSocket: socket });
    const byUrl = Queue.fromUrl<Email>(`mq://127.0.0.1:${daemon.port}/${queue.name}`);
    process.env["MQ_URL"] = `mq+unix://${socket}`;
    const byVariable = new Queue(queue.name);
    delete process.env["MQ_URL"];
    for (const one of [byPath, byUrl, byVariable]) {
      await one.push({ to: "a" });
      await one.close();
    }
    assert.equal((await queue.counts())?.pending, 3);
    assert.throws(() => Queue.fromUrl("mq://localhost"), MagicQueueError);
  });

  it("pushes a job with every option", async () => {
    const parent = await queue.push({ to: "parent" });
    const options = {
      priority: -3,
      delay: 50_000,
      ttl: 60_000_000,
      timeout: 7_000,
      maxAttempts: 4,
      backoff: 11,
      maxBackoff: 12,
      uniqueKey: "k",
      dependsOn: [parent],
    };
    const job = await queue.getJob(await queue.push({ to: "a" }, options));
    assert.ok(job);
    assert.equal(job.state, "waitingparent");
    assert.deepEqual(
      [
        job.priority,
        job.ttl,
        job.timeout,
        job.max_attempts,
        job.backoff,
        job.max_backoff,
        job.unique_key,
        job.depends_on,
      ],
      [-3, 60_000_000, 7_000, 4, 11, 12, "k", [parent]],
    );
    assert.equal(job.run_at - job.created_at, 50_000);
    await assert.rejects(queue.push({ to: "b" }, { uniqueKey: "k" }), DuplicateError);
  });

  it("gives jobs the members that the type Job has", async () => {
    await queue.push({ to: "a" });
    const names = [
      "id",
      "queue",
      "data",
      "priority",
      "created_at",
      "run_at",
      "started_at",
      "attempts",
      "max_attempts",
      "backoff",
      "max_backoff",
      "ttl",
      "timeout",
      "unique_key",
      "depends_on",
      "progress",
      "progress_msg",
      "deliveries",
      "token",
      "last_error",
    ];
    assert.deepEqual(Object.keys(await pull()).sort(), names.sort());
  });

  it("keeps pushes of one tick in order, and each its own id", async () => {
    const ids = await Promise.all(Array.from({ length: 2_500 }, (_, i) => queue.push({ to: String(i) })));
    assert.equal(new Set(ids).size, 2_500);
    const { jobs } = await client.send({ cmd: "PULLB", queue: queue.name, count: 2_500 });
    assert.deepEqual(
      jobs.map((job) => job.id),
      ids,
    );
    assert.deepEqual(
      jobs.map((job) => job.data.to),
      ids.map((_, i) => String(i)),
    );
  });

  it("pushes batches longer than a line may be", async () => {
    const text = "x".repeat(300_000);
    const jobs = Array.from({ length: 60 }, () => ({ data: { to: text } }));
    const ids = await queue.pushBatch(jobs);
    assert.equal(new Set(ids).size, 60);
    assert.ok(!ids.includes(0));
    const hash = createHash("sha1").update(text).digest("hex");
    assert.equal(
      createHash("sha1")
        .update((await pull()).data.to)
        .digest("hex"),
      hash,
    );
  });

  it("accepts and refuses the jobs of a batch one by one", async () => {
    const batch = [
      { data: { to: "a" }, uniqueKey: "k" },
      { data: { to: "b" }, uniqueKey: "k" },
      { data: { to: "c" }, priority: 1 },
    ];
    await assert.rejects(queue.pushBatch(batch), (error: unknown) => {
      assert.ok(error instanceof BatchRefusedError);
      assert.deepEqual([...error.errors.keys()], [1]);
      assert.ok(error.errors.get(1) instanceof DuplicateError);
      assert.ok(error.ids[0]! > 0 && error.ids[1] === 0 && error.ids[2]! > 0);
      return true;
    });
    assert.deepEqual((await pull()).data, { to: "c" });
    assert.equal((await queue.pushMany([{ to: "x" }, { to: "y" }], { priority: 9 })).length, 2);
    assert.equal((await pull()).priority, 9);
    assert.deepEqual(await queue.pushBatch([]), []);
  });

  it("tells refusals of a batch of several lines by their place in the whole", async () => {
    const jobs = Array.from({ length: 2_500 }, (_, i) => ({
      data: { to: "a" },
      uniqueKey: i === 2_400 ? "key 3" : `key ${i}`,
    }));
    await assert.rejects(queue.pushBatch(jobs), (error: unknown) => {
      assert.ok(error instanceof BatchRefusedError);
      assert.deepEqual([...error.errors.keys()], [2_400]);
      assert.equal(error.ids.length, 2_500);
      return true;
    });
  });

  it("tells results, progress and states", async () => {
    const id = await queue.push({ to: "a" });
    assert.equal((await queue.getJob(id))?.state, "waiting");
    assert.equal(await queue.getResult(id), null);
    const job = await pull();
    await client.send({ cmd: "PROGRESS", id, progress: 40, message: "writing" });
    assert.deepEqual(await queue.getProgress(id), { progress: 40, message: "writing" });
    await client.send({ cmd: "ACK", id, token: job.token, result: "sent" });
    assert.equal((await queue.getJob(id))?.state, "completed");
    assert.equal(await queue.getResult(id), "sent");
    assert.equal(await queue.waitJob(id), "sent");
    assert.equal(await queue.getJob(id + 1_000_000_000), null);
  });

  it("lists jobs page after page, either way round", async () => {
    const ids = await queue.pushMany(Array.from({ length: 25 }, () => ({ to: "a" })));
    const listed: number[] = [];
    for await (const job of queue.getJobs("waiting", { pageSize: 10 })) {
      listed.push(job.id);
    }
    assert.deepEqual(listed, ids);
    const newest: number[] = [];
    for await (const job of queue.getJobs("waiting", { pageSize: 10, newestFirst: true })) {
      newest.push(job.id);
      if (newest.length === 12) {
        break;
      }
    }
    assert.deepEqual(newest, ids.reverse().slice(0, 12));
    for await (const job of queue.getJobs("waiting", { preview: 5 })) {
      assert.equal(job.data as unknown, '{"to"');
      break;
    }
  });

  it("looks after the dead-letter queue", async () => {
    const ids = await queue.pushMany([{ to: "a" }, { to: "b" }]);
    for (let i = 0; i < 2; i += 1) {
      await client.send({ cmd: "FAIL", id: (await pull()).id, error: "broken", unrecoverable: true });
    }
    const dead = await queue.getDlq();
    assert.deepEqual(
      dead.map((job) => [job.id, job.last_error, job.reason]),
      ids.map((id) => [id, "broken", "failed"]),
    );
    assert.equal((await queue.getDlq(1)).length, 1);
    await assert.rejects(
      queue.waitJob(ids[0]!),
      (error: unknown) => error instanceof FailedError && error.message === "broken",
    );
    assert.equal(await queue.retryDlq(ids[0]), 1);
    assert.equal(await queue.retryDlq(), 1);
    assert.equal(await queue.purgeDlq(), 0);
  });

  it("controls the queue as a whole", async () => {
    await queue.pause();
    assert.equal(await queue.isPaused(), true);
    await queue.resume();
    assert.equal(await queue.isPaused(), false);
    await queue.setRateLimit(100, 2_000);
    await queue.setConcurrency(3);
    const counts = await queue.counts();
    assert.deepEqual([counts?.rate_limit, counts?.rate_duration, counts?.concurrency_limit], [100, 2_000, 3]);
    await queue.clearRateLimit();
    await queue.clearConcurrency();
    await queue.setMaxLength(2);
    await queue.pushMany([{ to: "a" }, { to: "b" }]);
    const full = await client.send({ cmd: "PUSHB", queue: queue.name, jobs: [{ data: { to: "c" } }] });
    assert.equal(full.errors?.[0]?.code, "queue_full");
    await queue.setMaxLength(0);
    assert.equal(await queue.drain(), 2);
    assert.deepEqual([(await queue.counts())?.rate_limit, (await queue.counts())?.concurrency_limit], [null, null]);
    await queue.pushMany([{ to: "a" }, { to: "b" }]);
    assert.equal(await queue.drain(), 2);
    await queue.push({ to: "a" });
    assert.equal(await queue.obliterate(), 1);
    assert.equal(await queue.counts(), null);
  });

  it("cancels a job once", async () => {
    const id = await queue.push({ to: "a" });
    await queue.cancel(id);
    await assert.rejects(queue.cancel(id), NotFoundError);
    await assert.rejects(queue.cancel(-1), BadIdError);
    await assert.rejects(queue.setRateLimit(0), InvalidError);
  });

  it("sets crons with a priority or with options", async () => {
    const name = uniqueName("cron");
    await queue.addCron(name, "0 4 * * MON", { to: "a" }, 3);
    const listed = async (): Promise<unknown[]> => {
      const crons = (await queue.listCrons()).filter((cron) => cron.name === name);
      return crons.map((cron) => [cron.queue, cron.data, cron.schedule, cron.priority, cron.timezone, cron.paused]);
    };
    assert.deepEqual(await listed(), [[queue.name, { to: "a" }, "0 4 * * MON", 3, "UTC", false]]);
    await queue.addCron(name, "@daily", { to: "b" }, { timezone: "Asia/Tokyo", overlap: "skip", maxAttempts: 2 });
    await queue.pauseCron(name);
    assert.deepEqual(await listed(), [[queue.name, { to: "b" }, "@daily", 0, "Asia/Tokyo", true]]);
    await queue.resumeCron(name);
    await queue.runCron(name);
    assert.equal((await pull()).max_attempts, 2);
    await queue.deleteCron(name);
    await assert.rejects(queue.deleteCron(name), NotFoundError);
  });

  it("tells events to each of its iterators what it asked for", async () => {
    const all = await queue.events();
    const ends = await queue.events("completed", "cancelled");
    const id = await queue.push({ to: "a" });
    await pull();
    await client.send({ cmd: "ACK", id });
    const other = await queue.push({ to: "b" });
    await queue.cancel(other);
    const first = async (stream: AsyncIterable<unknown>, count: number): Promise<unknown[]> => {
      const events: unknown[] = [];
      for await (const event of stream) {
        events.push([(event as JobEvent).event, (event as JobEvent).job]);
        if (events.length === count) {
          break;
        }
      }
      return events;
    };
    assert.deepEqual(await first(ends, 2), [
      ["completed", id],
      ["cancelled", other],
    ]);
    // Leaving the loop has ended that one; the other goes on.
    const more = await queue.push({ to: "c" });
    assert.deepEqual(await first(all, 6), [
      ["pushed", id],
      ["active", id],
      ["completed", id],
      ["pushed", other],
      ["cancelled", other],
      ["pushed", more],
    ]);
    assert.deepEqual(await all.next(), { done: true, value: undefined });
  });

  it("ends iterators of events with the client", async () => {
    const events = await queue.events("pushed");
    const next = events.next();
    await client.close();
    assert.deepEqual(await next, { done: true, value: undefined });
  });

  it("waits for results, and no longer than it should", async () => {
    const worker = new Worker<Email, string>(queue.name, (job) => `to ${job.data.to}`, {
      port: daemon.port,
      host: "127.0.0.1",
    });
    const over = worker.start();
    assert.equal(await queue.pushAndWait({ to: "ada" }), "to ada");
    await worker.stop();
    await over;
    await assert.rejects(queue.pushAndWait({ to: "nobody" }, { waitTimeout: 10 }), TimeoutError);
    await assert.rejects(queue.waitJob(1_000_000_000_000), NotFoundError);
  });

  it("runs pushes through its middleware, the first outermost", async () => {
    const log: string[] = [];
    const named = (name: string): Middleware => ({
      async push(call, next) {
        log.push(`${name} before`);
        call.jobs = call.jobs.map((job) => ({ ...job, data: { ...(job.data as object), [name]: 1 } }));
        const ids = await next();
        log.push(`${name} after ${ids.length}`);
        return ids;
      },
    });
    const hooked = new Queue<Email>(queue.name, { client, middleware: [named("a"), {}, named("b")] });
    await hooked.push({ to: "x" });
    await hooked.pushMany([{ to: "y" }, { to: "z" }]);
    assert.deepEqual(log, [
      "a before",
      "b before",
      "b after 1",
      "a after 1",
      "a before",
      "b before",
      "b after 2",
      "a after 2",
    ]);
    assert.deepEqual((await pull()).data, { to: "x", a: 1, b: 1 });
  });

  it("needs a token where there are any", async () => {
    const guarded = await Daemon.start("--auth-tokens", "s3cret");
    const stranger = new Queue("q", { host: "127.0.0.1", port: guarded.port });
    const friend = Queue.fromUrl(`mq://s3cret@127.0.0.1:${guarded.port}/q`);
    await assert.rejects(stranger.push(1), AuthRequiredError);
    assert.ok((await friend.push(1)) > 0);
    await Promise.all([stranger.close(), friend.close()]);
    await guarded.stop();
  });

  it("rounds integers beyond 2^53, and nothing else", async () => {
    const values = ["ünï 🐇 \u2028", 0.1, 1e300, Number.MAX_SAFE_INTEGER, null, true, [], {}, { "": [{}] }];
    const any = new Queue(queue.name, { client });
    for (const value of values) {
      await any.push(value);
      assert.deepEqual((await pull()).data, value);
    }
    await client.transport.send(`{"cmd":"PUSH","queue":"${queue.name}","data":9007199254740993}`);
    assert.equal((await pull()).data, 9007199254740992);
  });

  it("has a class for every code", () => {
    for (const [code, Class] of Object.entries(REFUSALS)) {
      const error = new Class("text", code, false);
      assert.ok(error instanceof RefusedError && error instanceof Class && error instanceof Error);
      assert.equal(error.name, Class.name);
    }
  });
});
