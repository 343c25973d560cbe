// A program as it was written for the older MagicQueue package: it runs unchanged.

import process from "node:process";

import { MagicQueueClient, Queue, Worker, type Job } from "magicqueue";

interface Task {
  n: number;
}

const address = { host: "localhost", port: Number(process.env["MQ_PORT"] ?? 6789) };
const queue = new Queue<Task>("older", address);
await queue.connect();

const first = await queue.push(
  { n: 1 },
  { priority: 5, delay: 0, ttl: 60_000, maxAttempts: 3, backoff: 100, uniqueKey: "one" },
);
const [second] = await queue.pushBatch([{ data: { n: 2 }, priority: 1, dependsOn: [first] }]);
await queue.pushMany([{ n: 3 }, { n: 4 }], { priority: -1 });
await queue.setRateLimit(1_000);
await queue.clearRateLimit();
await queue.addCron("older-cron", "0 0 * * *", { n: 5 });
console.log("crons:", (await queue.listCrons()).filter((cron) => cron.name === "older-cron").length);
await queue.deleteCron("older-cron");
try {
  await queue.push({ n: 1 }, { uniqueKey: "one" });
} catch (error) {
  console.log((error as Error).message);
}

let count = 0;
const worker = new Worker<Task>(
  "older",
  async (job: Job<Task>, ctx) => {
    await ctx.updateProgress(100, `${job.data.n} is done`);
    count += 1;
    if (count === 4) {
      setImmediate(() => void worker.stop());
    }
  },
  { ...address, batchSize: 10, concurrency: 2 },
);
await worker.start();

const stats = await queue.stats();
console.log("ok:", stats.ok, "worked on", count);
console.log("total completed at least:", (await queue.metrics()).metrics.total_completed >= 4);
console.log("progress:", (await queue.getProgress(second!)).progress);
console.log("dead:", (await queue.getDlq()).length, "retried:", await queue.retryDlq());

const client = new MagicQueueClient(address);
await client.connect();
const answer = await client.send<{ ok: boolean; pong: boolean }>({ cmd: "PING" });
console.log("pong:", answer.pong, client.isConnected());
await client.close();
await queue.close();
