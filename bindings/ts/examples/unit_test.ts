// A unit test of a program that uses a queue, with a daemon in memory whose time the test moves.

import assert from "node:assert/strict";

import { Queue, Worker } from "magicqueue";
import { FakeServer } from "magicqueue/testing";

/** The code under test: reminds a customer, three times at most, a day apart at first. */
function remind(queue: Queue<{ customer: string }>, customer: string): Promise<number> {
  return queue.push({ customer }, { delay: 86_400_000, backoff: 86_400_000, maxAttempts: 3, uniqueKey: customer });
}

const server = new FakeServer();
const queue = new Queue<{ customer: string }>("reminders", { client: server.client() });
const sent: string[] = [];
const worker = new Worker<{ customer: string }>(
  "reminders",
  (job) => {
    sent.push(job.data.customer);
    throw new Error("no answer yet");
  },
  { client: server.client() },
);
const stopped = worker.start();

await remind(queue, "ada");
await assert.rejects(remind(queue, "ada"), /Duplicate/);
await server.advance(86_399_999);
assert.deepEqual(sent, []);
await server.advance(4 * 86_400_000);
assert.deepEqual(sent, ["ada", "ada", "ada"]);
assert.equal((await queue.getDlq()).length, 1);
console.log("reminded", sent.length, "times");

await worker.stop();
await stopped;
