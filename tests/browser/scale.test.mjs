// Budgets: of the files, of the policy, of the document and of a tick with a thousand queues.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closePage, launch, live, measure, openPage } from "./browser.mjs";
import { Daemon, seed } from "./daemon.mjs";

const QUEUES = 1000;
const KIB = 1024;
let daemon, browser;

before(async () => {
  [daemon, browser] = await Promise.all([Daemon.start(), launch()]);
  await seed(daemon, QUEUES);
});
after(async () => {
  await browser?.close();
  await daemon?.stop();
});

test("the files are within their budget, packed, immutable, and the shell is never kept", async () => {
  const shell = await fetch(daemon.url);
  const html = await shell.text();
  assert.equal(shell.headers.get("Cache-Control"), "no-store");
  const sizes = { js: 0, css: 0 };
  for (const [, name, kind] of html.matchAll(/(?:src|href)="(static\/[\w.]+\.(js|css))"/g)) {
    const answer = await fetch(daemon.url + name, { headers: { "Accept-Encoding": "gzip" } });
    assert.equal(answer.headers.get("Content-Encoding"), "gzip", name);
    assert.match(answer.headers.get("Cache-Control"), /immutable/);
    sizes[kind] += Number(answer.headers.get("Content-Length"));
  }
  assert.ok(sizes.js > 0 && sizes.js <= 60 * KIB, `js: ${sizes.js}`);
  assert.ok(sizes.css > 0 && sizes.css <= 12 * KIB, `css: ${sizes.css}`);
  assert.doesNotMatch(html, /https?:\/\/(?!www\.w3\.org)/, "nothing comes from another host");
  assert.equal((await fetch(`${daemon.url}static/nothing.js`)).status, 404);
});

test("the policy is strict, on the shell and on every file", async () => {
  const answer = await fetch(daemon.url);
  const policy = answer.headers.get("Content-Security-Policy");
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /require-trusted-types-for 'script'/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  assert.equal(answer.headers.get("X-Content-Type-Options"), "nosniff");
  assert.equal(answer.headers.get("Referrer-Policy"), "no-referrer");
  assert.equal(answer.headers.get("Cross-Origin-Opener-Policy"), "same-origin");
});

test("a thousand queues: a page of rows, a window of them in the document, search and pages by the server", { timeout: 120_000 }, async () => {
  const page = await openPage(browser, daemon, "#/queues");
  await live(page);
  await page.getByText("1,008 queues").waitFor();
  assert.ok((await measure(page)).nodes <= 1500);
  const table = page.getByRole("table", { name: "Queues" });
  assert.equal(await table.getAttribute("aria-rowcount"), "1009");
  await page.mouse.wheel(0, 100_000);
  await page.getByText("100 of 1,008").waitFor();
  assert.ok((await measure(page)).nodes <= 1500);
  await page.getByRole("link", { name: /Next/ }).click();
  await page.locator("main [data-row]", { hasText: "tenant-0092/events" }).first().waitFor();
  await page.locator("[data-search]").fill("tenant-099*/events");
  await page.getByText("10 queues").waitFor();
  await page.locator("[data-search]").fill("nothing like it");
  await page.getByText("No queue matches").waitFor();
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByText("1,008 queues").waitFor();
  await page.getByRole("button", { name: "Waiting", exact: true }).click();
  await page.waitForFunction(() => document.querySelector("th[aria-sort=descending]")?.textContent.startsWith("Waiting"));
  await page.waitForFunction(() => document.querySelector("main [data-row] .row-link")?.textContent === "webhooks");
  await closePage(page);
});

test("a message is small, however many queues there are", async () => {
  for (const view of ["view=overview", "view=queues&limit=50", "view=queue&name=emails"]) {
    const { length } = await (await fetch(`${daemon.url}dashboard/snapshot?${view}`)).text();
    assert.ok(length <= 16 * KIB, `${view}: ${length}`);
  }
});

test("the first view is there within a second, and a tick takes the page a fraction of its second", { timeout: 120_000 }, async () => {
  const page = await openPage(browser, daemon, "#/", {});
  await page.locator(".tile-figure").first().waitFor();
  const first = await page.evaluate(() => performance.now());
  await live(page);
  const client = await page.context().newCDPSession(page);
  await client.send("Performance.enable");
  const spent = async () => Object.fromEntries((await client.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
  const ticks = async (n) => {
    for (let tick = 0; tick < n; tick++) {
      const shown = await page.locator(".tile[data-state=waiting] .tile-figure").textContent();
      await daemon.ok("PUSH", { queue: "emails", data: tick });
      await page.waitForFunction((old) => document.querySelector(".tile[data-state=waiting] .tile-figure").textContent !== old, shown);
    }
  };
  await ticks(2); // past what only a fresh page does
  const before = await spent();
  await ticks(5);
  const after = await spent();
  const each = ((after.TaskDuration - before.TaskDuration) * 1000) / Math.max(5, after.Timestamp - before.Timestamp);
  console.log(`# first figures after ${first.toFixed(0)} ms; a tick takes ${each.toFixed(1)} ms of the main thread`);
  // What is promised is 50 ms on an idle machine; a busy one is given room, a page that redraws everything is not.
  assert.ok(each < 150, `${each} ms a tick`);
  await closePage(page);
});
