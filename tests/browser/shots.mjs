// Pictures of every page for the documentation and for a look: node shots.mjs FOLDER [width] [light|dark].
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { launch, live, openPage } from "./browser.mjs";
import { Daemon, PYTHON, until } from "./daemon.mjs";

const [folder = "shots", width = "1440", theme = "light"] = process.argv.slice(2);
const RUN_MS = Number(process.env.SHOTS_RUN_MS ?? 45_000); // of traffic before, so that the charts have a shape
mkdirSync(folder, { recursive: true });
const daemon = await Daemon.start();
const seed = spawn(PYTHON, [join(import.meta.dirname, "seed.py"), String(daemon.tcp), "--run"], { stdio: "inherit" });
const browser = await launch();
try {
  const begun = Date.now();
  await until(() => Date.now() - begun > RUN_MS, "traffic", RUN_MS + 5_000);
  const dead = (await daemon.call("GETDLQCOUNTS")).counts;
  const queue = Object.keys(dead)[0];
  const [job] = (await daemon.call("DLQ", { queue, count: 1 })).jobs;
  const pages = {
    overview: "#/",
    queues: "#/queues",
    queue: `#/queues/${encodeURIComponent(queue)}?state=failed`,
    job: `#/jobs/${job.id}`,
    failed: "#/failed",
    crons: "#/crons",
    workers: "#/workers",
  };
  for (const [name, hash] of Object.entries(pages)) {
    const page = await openPage(browser, daemon, hash, { width: Number(width), height: Number(width) < 640 ? 844 : 900, theme });
    await live(page);
    await page.locator("main h1").waitFor();
    await page.locator("[aria-busy=true]").waitFor({ state: "detached" }).catch(() => {});
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1200))); // one message more, and the charts' frame
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await page.context().close();
  }
} finally {
  await browser.close();
  seed.kill();
  await daemon.stop();
}
