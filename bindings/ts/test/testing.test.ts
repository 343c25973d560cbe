import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  DuplicateError,
  FailedError,
  NotConnectedError,
  Queue,
  TimeoutError,
  Worker,
  type JobEvent,
  type JobHandler,
  type WorkerOptions,
} from "magicqueue";
import { FakeServer } from "magicqueue/testing";

import { deferred } from "./daemon.js";
import { Player, exchange, loadAll, type Scenario } from "./transcript.js";

/** Transcripts of what the daemon in memory says it does not do. */
const LEFT_OUT_FILES = new Set([
  "clients.jsonl",
  "cron.jsonl",
  "hello.jsonl",
  "metrics.jsonl",
  "topology.jsonl",
  "framing.jsonl",
]);
const LEFT_OUT = new Set([
  "a rate limit is listed, changed and taken away",
  "a page is searched, filtered and sorted, and has more to tell",
  "nonsense in a page is refused",
]);

function isPlayed(scenario: Scenario): boolean {
  const isRaw = scenario.steps.some((step) => typeof step.send === "string");
  const isSpecial = isRaw || scenario.hasForeignNumbers || Object.keys(scenario.settings).length > 0;
  return !isSpecial && !LEFT_OUT_FILES.has(scenario.file) && !LEFT_OUT.has(scenario.name);
}

describe("the daemon in memory answers as the transcripts say", () => {
  for (const scenario of loadAll().filter(isPlayed)) {
    it(`${scenario.file}: ${scenario.name}`, async () => {
      const server = new FakeServer();
      const client = server.client();
      await client.connect();
      await new Player("q").play(scenario, async (request) => {
        let isAnswered = false;
        const answer = exchange(client, request).finally(() => (isAnswered = true));
        await server.advance(0);
        const { cmd, timeout } = request as { cmd?: unknown; timeout?: unknown };
        if (!isAnswered && /pull|waitjob/i.test(String(cmd)) && typeof timeout === "number") {
          // Only the test moves time.
          await server.advance(timeout);
        }
        assert.ok(isAnswered, `${JSON.stringify(request)} waits`);
        return answer;
      });
    });
  }
});

describe("a program under test", () => {
  const setUp = (): { server: FakeServer; queue: Queue<number, unknown> } => {
    const server = new FakeServer({ now: 1_000_000 });
    return { server, queue: new Queue<number, unknown>("q", { client: server.client() }) };
  };
  const start = (server: FakeServer, handler: JobHandler<number>, options: WorkerOptions = {}): Worker<number> => {
    const worker = new Worker<number>("q", handler, { client: server.client(), signals: false, ...options });
    void worker.start();
    return worker;
  };

  it("works on jobs without a daemon", async () => {
    const { server, queue } = setUp();
    const worker = start(server, (job) => job.data * 2);
    assert.equal(await queue.pushAndWait(21), 42);
    assert.deepEqual(await Promise.all([1, 2, 3].map((n) => queue.pushAndWait(n))), [2, 4, 6]);
    await worker.stop();
    await assert.rejects(worker.client.send({ cmd: "PING" }), NotConnectedError);
  });

  it("moves through delays and backoffs in no time", async () => {
    const { server, queue } = setUp();
    const at: number[] = [];
    const worker = start(server, () => {
      at.push(server.now);
      throw new Error("again");
    });
    const id = await queue.push(1, { delay: 500, backoff: 1_000, maxAttempts: 4 });
    await server.advance(499);
    assert.deepEqual(at, []);
    await server.advance(3_600_000);
    assert.deepEqual(at, [1_000_500, 1_001_500, 1_003_500, 1_007_500]);
    await assert.rejects(queue.waitJob(id), FailedError);
    await worker.stop();
  });

  it("ends waits only when time has passed", async () => {
    const { server, queue } = setUp();
    const id = await queue.push(1);
    const over = assert.rejects(queue.waitJob(id, 5_000), TimeoutError);
    await server.advance(5_000);
    await over;
  });

  it("gives a stopped worker's jobs back, and an expired lease's", async () => {
    const { server, queue } = setUp();
    const gate = deferred();
    const worker = start(server, () => gate.promise);
    const id = await queue.push(1);
    await server.advance(0);
    assert.equal((await queue.getJob(id))?.state, "active");
    await worker.stop({ drain: 0 });
    assert.equal((await queue.getJob(id))?.state, "waiting");
    const client = server.client();
    await client.connect();
    await client.send({ cmd: "PULL", queue: "q", lease: 100 });
    await client.close();
    assert.equal((await queue.getJob(id))?.state, "active");
    await server.advance(100);
    assert.equal((await queue.getJob(id))?.state, "waiting");
    gate.resolve();
  });

  it("times jobs out and lets them expire", async () => {
    const { server, queue } = setUp();
    const client = server.client();
    await client.connect();
    const [slow, old] = [await queue.push(1, { timeout: 50, maxAttempts: 1 }), await queue.push(2, { ttl: 70 })];
    await client.send({ cmd: "PULL", queue: "q" });
    await server.advance(49);
    assert.deepEqual([(await queue.getJob(slow))?.state, (await queue.getJob(old))?.state], ["active", "waiting"]);
    await server.advance(30);
    assert.equal((await queue.getJob(slow))?.reason, "timeout");
    assert.equal(await queue.getJob(old), null);
  });

  it("refuses what a daemon would refuse", async () => {
    const { queue } = setUp();
    await queue.push(1, { uniqueKey: "k" });
    await assert.rejects(queue.push(2, { uniqueKey: "k" }), DuplicateError);
  });

  it("tells events", async () => {
    const { queue } = setUp();
    const events = await queue.events("pushed");
    const id = await queue.push(1);
    assert.deepEqual((await events.next()).value as JobEvent, { event: "pushed", queue: "q", job: id, seq: 1 });
  });
});
