// A queue, a worker, and a result. The daemon is where MQ_URL says, or on localhost:6789.

import { Queue, Worker } from "magicqueue";

interface Email {
  to: string;
  subject: string;
}

const emails = new Queue<Email, { sentTo: string }>("emails");

const worker = new Worker<Email, { sentTo: string }>("emails", async (job, ctx) => {
  await ctx.updateProgress(50, `writing to ${job.data.to}`);
  return { sentTo: job.data.to };
});
const stopped = worker.start();

const id = await emails.push({ to: "ada@example.org", subject: "Hello" }, { maxAttempts: 3, backoff: 1_000 });
console.log("result:", JSON.stringify(await emails.waitJob(id)));

const { sentTo } = await emails.pushAndWait({ to: "grace@example.org", subject: "Hello again" });
console.log("sent to", sentTo);

await worker.stop();
await stopped;
await emails.close();
