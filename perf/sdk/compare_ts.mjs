// How fast the TypeScript client is beside BullMQ: the same work in one run, round by round in turn.
//
//   npm ci && (cd ../../bindings/ts && npm ci && npm run build) && node compare_ts.mjs [--rounds 5] [--seconds 0.6]
//
// mqfast keeps its jobs in memory, redis runs without persistence; both keep what was completed. Payloads of 100 bytes.
// Rates are medians over the rounds; the factor is the median of the ratios within a round. Ends within about a minute.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Queue as BullQueue, Worker as BullWorker } from "bullmq";

import { Queue, Worker } from "../../bindings/ts/dist/index.js";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const PYTHON = process.env.MQFAST_PYTHON ?? join(ROOT, ".venv/bin/python");
const DATA = { text: "x".repeat(89) };
const IN_FLIGHT = 64;
const BATCH = 100;
const CONCURRENCY = 16;

/** Calls `work` until the time is up, in so many loops at once; how many a second. */
async function rate(seconds, loops, work) {
  const start = performance.now();
  const end = start + seconds * 1000;
  let count = 0;
  const loop = async () => {
    while (performance.now() < end) {
      // Not `count += await …`: that adds to the count of before the wait.
      const done = await work();
      count += done;
    }
  };
  await Promise.all(Array.from({ length: loops }, loop));
  return count / ((performance.now() - start) / 1000);
}

/** The sides: each makes a queue of a new name, and knows how to push and to work. */
function mqfastSide(port) {
  const address = { host: "127.0.0.1", port };
  return {
    name: "mqfast",
    backlog: 200_000,
    open: (name) => new Queue(name, address),
    push: (queue) => queue.push(DATA),
    pushBatch: (queue, count) =>
      queue.pushMany(Array.from({ length: count }, () => DATA)),
    clear: (queue) => queue.obliterate(),
    async work(name, onJob) {
      const worker = new Worker(name, onJob, {
        ...address,
        concurrency: CONCURRENCY,
        batchSize: 50,
        signals: false,
      });
      const over = worker.start();
      return async () => {
        await worker.stop();
        await over;
      };
    },
  };
}

function bullSide(port) {
  const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
  return {
    name: "BullMQ",
    backlog: 20_000,
    open: (name) => new BullQueue(name, { connection }),
    push: (queue) => queue.add("job", DATA),
    pushBatch: (queue, count) =>
      queue.addBulk(
        Array.from({ length: count }, () => ({ name: "job", data: DATA })),
      ),
    clear: (queue) => queue.obliterate({ force: true }),
    async work(name, onJob) {
      const worker = new BullWorker(name, async (job) => onJob(job), {
        connection,
        concurrency: CONCURRENCY,
      });
      worker.on("error", () => undefined);
      return () => worker.close();
    },
  };
}

async function worked(side, queue, seconds) {
  for (let pushed = 0; pushed < side.backlog; pushed += 1_000) {
    await side.pushBatch(queue, 1_000);
  }
  let count = 0;
  let startAt;
  const first = new Promise((resolve) => (startAt = resolve));
  const stop = await side.work(queue.name, () => {
    count += 1;
    startAt();
    return 1;
  });
  await first;
  const [before, start] = [count, performance.now()];
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const [done, took] = [count - before, performance.now() - start];
  if (count >= side.backlog) {
    throw new Error(`${side.name} ran out of jobs: make the backlog larger`);
  }
  await stop();
  return done / (took / 1000);
}

const WORK = {
  "push, one after the other": (side, queue, seconds) =>
    rate(seconds, 1, async () => (await side.push(queue), 1)),
  [`push, ${IN_FLIGHT} in flight`]: (side, queue, seconds) =>
    rate(seconds, IN_FLIGHT, async () => (await side.push(queue), 1)),
  [`push, batches of ${BATCH}`]: (side, queue, seconds) =>
    rate(seconds, 1, async () => (await side.pushBatch(queue, BATCH), BATCH)),
  [`worker, ${CONCURRENCY} handlers at once`]: worked,
};

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function startServers() {
  if (!existsSync(PYTHON)) {
    throw new Error(`no ${PYTHON}: build the daemon with make first`);
  }
  const mqfast = spawn(PYTHON, ["-m", "mqfast", "--port", "0"], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(createInterface({ input: mqfast.stdout }), "line");
  const redisPort = await freePort();
  const flags = [
    "--port",
    String(redisPort),
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--appendonly",
    "no",
  ];
  const redis = spawn("redis-server", flags, {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const text of createInterface({ input: redis.stdout })) {
    if (text.includes("Ready to accept connections")) {
      break;
    }
  }
  redis.stdout.resume();
  const mqfastPort = Number(/127\.0\.0\.1:(\d+)/.exec(line)[1]);
  const stop = () =>
    [mqfast, redis].forEach((server) => server.kill("SIGTERM"));
  return { sides: [mqfastSide(mqfastPort), bullSide(redisPort)], stop };
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2;
}

async function main() {
  const options = {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "0.6" },
  };
  const { rounds, seconds } = parseArgs({ options }).values;
  const { sides, stop } = await startServers();
  try {
    console.log(
      "| TypeScript, 100-byte payloads | mqfast, a second | BullMQ, a second | factor |",
    );
    console.log("| --- | ---: | ---: | ---: |");
    for (const [name, work] of Object.entries(WORK)) {
      const rates = sides.map(() => []);
      // The first round warms up and does not count.
      for (let round = 0; round <= Number(rounds); round += 1) {
        for (const [index, side] of sides.entries()) {
          const queue = side.open(`compare-${process.pid}-${round}`);
          const result = await work(side, queue, Number(seconds));
          await side.clear(queue);
          await queue.close();
          if (round > 0) {
            rates[index].push(result);
          }
        }
      }
      const ratios = rates[0].map((value, round) => value / rates[1][round]);
      const shown = rates.map((values) =>
        Math.round(median(values)).toLocaleString("en"),
      );
      console.log(
        `| ${name} | ${shown.join(" | ")} | ${median(ratios).toFixed(1)} |`,
      );
    }
  } finally {
    stop();
  }
}

await main();
