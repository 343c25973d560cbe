// Jobs that wait for others, several workers in one process, and the events of it all.

import { Queue, UnrecoverableError, Worker } from "magicqueue";

const images = new Queue<{ file: string }, { pixels: number }>("images");
const albums = new Queue<{ parts: number[] }, number>("albums", { client: images.client });

const events = await albums.events("completed", "failed");

const workers = [
  new Worker<{ file: string }, { pixels: number }>(
    "images",
    (job) => {
      if (!job.data.file.endsWith(".png")) {
        // No retry will make a picture of it.
        throw new UnrecoverableError(`${job.data.file} is no picture`);
      }
      return { pixels: job.data.file.length * 100 };
    },
    { concurrency: 4 },
  ),
  new Worker<{ parts: number[] }, number>("albums", async (job) => {
    const sizes = await Promise.all(job.data.parts.map((id) => images.getResult(id)));
    return sizes.reduce((sum, size) => sum + (size?.pixels ?? 0), 0);
  }),
];
const stopped = workers.map((worker) => worker.start());

const parts = await images.pushMany([{ file: "a.png" }, { file: "bc.png" }]);
const album = await albums.push({ parts }, { dependsOn: parts });
const bad = await images.push({ file: "virus.exe" }, { maxAttempts: 5 });

for await (const event of events) {
  console.log("event:", event.event);
  break;
}
console.log("pixels:", await albums.getResult(album));
await images.waitJob(bad).catch((error: Error) => console.log("failed:", error.message));
for (const job of await images.getDlq()) {
  console.log("dead:", job.data.file, job.reason, "after", job.attempts);
}
await images.purgeDlq();

await Promise.all(workers.map((worker) => worker.stop()));
await Promise.all(stopped);
await images.close();
