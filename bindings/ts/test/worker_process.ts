// A worker in a process of its own, for tests that kill it. Environment: MQ_URL; HOLD: "ever" never finishes a job, a
// port is connected to, and the job finished when that connection ends; DRAIN: the option drainTimeout. Prints a line
// for each job it starts.

import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";

import { Worker } from "magicqueue";

const { HOLD } = process.env;
const worker = Worker.fromUrl<number>(
  process.env["MQ_URL"]!,
  async (job) => {
    process.stdout.write(`${job.id}\n`);
    if (HOLD === "ever") {
      await new Promise(() => setInterval(() => undefined, 1_000));
    }
    await once(connect(Number(HOLD), "127.0.0.1").resume(), "close");
    return job.data;
  },
  { batchSize: 3, drainTimeout: Number(process.env["DRAIN"] ?? 600_000) },
);
await worker.start();
process.stdout.write("stopped\n");
