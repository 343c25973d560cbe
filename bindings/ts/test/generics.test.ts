// What the types promise: this file is checked by being compiled.

import { it } from "node:test";

import { MagicQueueClient, Queue, Worker, type Job, type JobInfo, type PushOptions } from "magicqueue";

interface Email {
  to: string;
}

/** Compiles only if both types are the same. */
function same<A, B>(_: [A] extends [B] ? ([B] extends [A] ? true : never) : never): void {}

export async function payloadsAndResults(queue: Queue<Email, number>): Promise<void> {
  await queue.push({ to: "a" }, { maxAttempts: 3, uniqueKey: undefined });
  // @ts-expect-error a payload of another type
  await queue.push({ from: "a" });
  // @ts-expect-error an option that does not exist
  await queue.push({ to: "a" }, { max_attempts: 3 });
  // @ts-expect-error one key for many jobs
  await queue.pushMany([{ to: "a" }], { uniqueKey: "k" });
  same<Awaited<ReturnType<typeof queue.pushAndWait>>, number>(true);
  same<Awaited<ReturnType<typeof queue.getResult>>, number | null>(true);
  same<Awaited<ReturnType<typeof queue.getJob>>, JobInfo<Email> | null>(true);
  // @ts-expect-error a state that does not exist
  queue.getJobs("sleeping");
  for await (const event of await queue.events("completed")) {
    if (event.event === "dropped") {
      same<typeof event.count, number>(true);
    } else if (event.event !== "reconnected") {
      same<typeof event.job, number>(true);
    }
  }
}

export function handlers(): void {
  new Worker<Email, number>("q", async (job, ctx) => {
    same<typeof job, Job<Email>>(true);
    same<typeof ctx.job.data.to, string>(true);
    return 1;
  }).on("completed", (job, result) => {
    same<typeof job, Job<Email>>(true);
    same<typeof result, number>(true);
  });
  // @ts-expect-error a result of another type
  new Worker<Email, number>("q", async () => "text");
}

export async function commands(client: MagicQueueClient, options: PushOptions): Promise<void> {
  const { id } = await client.send({ cmd: "PUSH", queue: "q", data: 1, ...options });
  same<typeof id, number>(true);
  const { jobs, cursor } = await client.send({ cmd: "GETJOBS", queue: "q", state: "failed", reason: "timeout" });
  same<typeof jobs, Job[]>(true);
  same<typeof cursor, string | null>(true);
  // The older form: the caller says what the answer is.
  const { pong } = await client.send<{ pong: string }>({ cmd: "PING" });
  same<typeof pong, string>(true);
}

it("compiles", () => undefined);
