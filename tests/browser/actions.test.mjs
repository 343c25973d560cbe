// Every action of the page, driven as a person would, and its effect read over the socket.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closePage, go, launch, live, openPage, toast } from "./browser.mjs";
import { Daemon, until } from "./daemon.mjs";

let daemon, browser;

before(async () => {
  [daemon, browser] = await Promise.all([Daemon.start(), launch()]);
});
after(async () => {
  await browser?.close();
  await daemon?.stop();
});

async function at(hash, options) {
  const page = await openPage(browser, daemon, hash, options);
  await live(page);
  return page;
}

const stateOf = async (id) => (await daemon.ok("GETJOB", { id })).state;
const menu = async (page, queue, item) => {
  await page.getByRole("button", { name: `More actions for ${queue}` }).click();
  await page.getByRole("menuitem", { name: item }).click();
};

test("pause stops deliveries, and Undo takes it back", async () => {
  await daemon.ok("PUSH", { queue: "pausing", data: 1 });
  const page = await at("#/queues/pausing");
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await toast(page, "Paused pausing");
  assert.equal((await daemon.ok("ISPAUSED", { queue: "pausing" })).paused, true);
  await page.getByRole("button", { name: "Undo" }).click();
  await toast(page, "Resumed pausing");
  assert.equal((await daemon.ok("ISPAUSED", { queue: "pausing" })).paused, false);
  await closePage(page);
});

test("a queue is paused from the list, by its menu", async () => {
  await daemon.ok("PUSH", { queue: "from-list", data: 1 });
  const page = await at("#/queues?search=from-list");
  await page.getByRole("button", { name: "Actions for from-list" }).click();
  await page.getByRole("menuitem", { name: "Pause" }).click();
  await toast(page, "Paused from-list");
  assert.equal((await daemon.ok("ISPAUSED", { queue: "from-list" })).paused, true);
  await page.locator("[data-row]", { hasText: "Paused" }).waitFor();
  await closePage(page);
});

test("limits are set, shown, and undone to what they were", async () => {
  await daemon.ok("PUSH", { queue: "limited", data: 1 });
  await daemon.ok("SETCONCURRENCY", { queue: "limited", limit: 3 });
  const page = await at("#/queues/limited");
  await page.getByRole("button", { name: "Limits…" }).click();
  await page.locator("input[name=limit]").fill("25");
  await page.locator("input[name=seconds]").fill("60");
  await page.locator("input[name=concurrency]").fill("");
  await page.getByRole("button", { name: "Set limits" }).click();
  await toast(page, "Limits of limited set");
  let row = await daemon.queue("limited");
  assert.deepEqual([row.rate_limit, row.rate_duration, row.concurrency_limit], [25, 60_000, null]);
  await page.getByText("25 per 60 s").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  row = await until(async () => {
    const now = await daemon.queue("limited");
    return now.rate_limit === null && now.concurrency_limit === 3 && now;
  }, "the former limits");
  await closePage(page);
});

test("a limit that the server would refuse is not sent", async () => {
  await daemon.ok("PUSH", { queue: "limit-form", data: 1 });
  const page = await at("#/queues/limit-form");
  await page.getByRole("button", { name: "Limits…" }).click();
  for (const bad of ["0", "-1", "1.5", "many"]) {
    await page.locator("input[name=limit]").fill(bad);
    await page.getByRole("alert").waitFor();
    assert.equal(await page.getByRole("button", { name: "Set limits" }).getAttribute("aria-disabled"), "true");
  }
  await page.keyboard.press("Enter");
  assert.ok(await page.locator("dialog[open]").isVisible());
  assert.equal((await daemon.queue("limit-form")).rate_limit, null);
  await closePage(page);
});

test("a failed job is retried from its page; the page follows its state", async () => {
  const id = await daemon.dead("retrying");
  const page = await at(`#/jobs/${id}`);
  await page.getByRole("button", { name: "Retry" }).click();
  await toast(page, "1 job back in retrying");
  assert.equal(await stateOf(id), "waiting");
  await page.locator(".badge", { hasText: "Waiting" }).waitFor();
  await daemon.ok("PULL", { queue: "retrying", timeout: 0, lease: 60_000 });
  await daemon.ok("PROGRESS", { id, progress: 60, message: "page 6" });
  await page.getByText("60 %").waitFor();
  await page.getByText("page 6").waitFor();
  await daemon.ok("ACK", { id, result: { pages: 10 } });
  await page.locator(".badge", { hasText: "Completed" }).waitFor();
  await page.getByRole("region", { name: "Result" }).getByText('"pages"').waitFor();
  await closePage(page);
});

test("selected failed jobs are retried, and no others", async () => {
  const ids = [];
  for (let n = 0; n < 5; n++) ids.push(await daemon.dead("selecting", `error ${n}`));
  const page = await at("#/failed/selecting");
  await page.getByRole("checkbox", { name: `Select job ${ids[1]}` }).check();
  await page.getByRole("checkbox", { name: `Select job ${ids[3]}` }).check();
  await page.getByRole("button", { name: "Retry 2" }).click();
  await until(async () => (await daemon.queue("selecting")).pending === 2, "two retried");
  assert.deepEqual(await Promise.all(ids.map(stateOf)), ["failed", "waiting", "failed", "waiting", "failed"]);
  await page.waitForFunction(() => document.querySelectorAll("main [data-row]").length === 3);
  await closePage(page);
});

test("a range is selected with Shift", async () => {
  for (let n = 0; n < 4; n++) await daemon.dead("ranging");
  const page = await at("#/failed/ranging");
  const boxes = page.getByRole("checkbox", { name: /^Select job/ });
  await boxes.nth(0).click();
  await boxes.nth(2).click({ modifiers: ["Shift"] });
  await page.getByText("3 selected").waitFor();
  await closePage(page);
});

test("retry all asks with the count; purge asks for the name", async () => {
  for (let n = 0; n < 3; n++) await daemon.dead("all-of-it");
  const page = await at("#/failed/all-of-it");
  await page.getByRole("button", { name: "Retry all (3)…" }).click();
  await page.locator("dialog[open]").getByText("3 jobs").waitFor();
  await page.locator("dialog[open]").getByRole("button", { name: "Retry" }).click();
  await toast(page, "3 jobs back in all-of-it");
  assert.deepEqual([(await daemon.queue("all-of-it")).pending, (await daemon.queue("all-of-it")).dlq], [3, 0]);
  const purged = await daemon.dead("all-of-it");
  await until(async () => (await page.getByRole("button", { name: "Purge…" }).getAttribute("aria-disabled")) === "false", "the button is on");
  await page.getByRole("button", { name: "Purge…" }).click();
  const dialog = page.locator("dialog[open]");
  await dialog.locator("input[name=confirm]").fill("all-of");
  assert.equal(await dialog.getByRole("button", { name: "Purge" }).getAttribute("aria-disabled"), "true");
  await dialog.locator("input[name=confirm]").press("Enter");
  assert.equal((await daemon.queue("all-of-it")).dlq, 1, "Enter with half a name does nothing");
  await dialog.locator("input[name=confirm]").fill("all-of-it");
  await dialog.getByRole("button", { name: "Purge" }).click();
  await toast(page, "1 failed job of all-of-it discarded");
  assert.equal(await stateOf(purged), "unknown");
  await closePage(page);
});

test("cancel asks, offers the job as a PUSH line, and the job is gone", async () => {
  const { id } = await daemon.ok("PUSH", { queue: "cancelling", data: { n: 1 }, priority: 3, max_attempts: 2 });
  const page = await at(`#/jobs/${id}`, { expected: [/status of 404/] });
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.locator("dialog[open]").getByRole("button", { name: "Copy as PUSH" }).click();
  const line = await page.evaluate(() => navigator.clipboard.readText());
  await page.locator("dialog[open]").getByRole("button", { name: "Cancel job" }).click();
  await toast(page, `Job ${id} cancelled`);
  assert.equal(await stateOf(id), "unknown");
  const again = await daemon.call(line);
  const { job } = await daemon.ok("GETJOB", { id: again.id });
  assert.deepEqual([job.queue, job.data, job.priority, job.max_attempts], ["cancelling", { n: 1 }, 3, 2]);
  await closePage(page);
});

test("drain drops what waits and leaves what is held and what failed", async () => {
  const kept = await daemon.dead("draining");
  await daemon.ok("PUSHB", { queue: "draining", jobs: [{ data: 1 }, { data: 2 }, { data: 3, delay: 600_000 }] });
  const held = (await daemon.ok("PULL", { queue: "draining", timeout: 0, lease: 600_000 })).job.id;
  const page = await at("#/queues/draining");
  await menu(page, "draining", "Drain…");
  const dialog = page.locator("dialog[open]");
  await dialog.getByText("1 active go on").waitFor();
  await dialog.locator("input[name=confirm]").fill("draining");
  await dialog.getByRole("button", { name: "Drain" }).click();
  await toast(page, "2 jobs of draining dropped");
  const row = await daemon.queue("draining");
  assert.deepEqual([row.pending, row.delayed, row.processing, row.dlq], [0, 0, 1, 1]);
  assert.deepEqual([await stateOf(kept), await stateOf(held)], ["failed", "active"]);
  await closePage(page);
});

test("delete takes the queue away, and the page goes to the list", async () => {
  await daemon.ok("PUSHB", { queue: "deleting", jobs: [{ data: 1 }, { data: 2 }] });
  const page = await at("#/queues/deleting");
  await menu(page, "deleting", "Delete queue…");
  await page.locator("input[name=confirm]").fill("deleting");
  await page.locator("dialog[open]").getByRole("button", { name: "Delete queue" }).click();
  await toast(page, "Queue deleting deleted with 2 jobs");
  assert.equal(await daemon.queue("deleting"), undefined);
  await page.waitForFunction(() => location.hash === "#/queues");
  await closePage(page);
});

test("a cron is added, run, paused, resumed and deleted; its definition brings it back", async () => {
  const page = await at("#/crons");
  const cron = async () => (await daemon.ok("CRONLIST")).crons.find(({ name }) => name === "nightly");
  await page.getByRole("button", { name: "Add cron…" }).click();
  for (const [name, text] of Object.entries({ name: "nightly", queue: "reports", schedule: "30 2 * * *", timezone: "Europe/Paris", data: '{"n":12345678901234567890}' })) await page.locator(`dialog [name=${name}]`).fill(text);
  await page.locator("dialog[open]").getByText("every day at 02:30").waitFor();
  await page.locator("dialog[open]").getByRole("button", { name: "Add" }).click();
  await toast(page, "Cron nightly set");
  assert.deepEqual([(await cron()).schedule, (await cron()).timezone, (await cron()).queue], ["30 2 * * *", "Europe/Paris", "reports"]);
  await page.getByRole("button", { name: "Run now: nightly" }).click();
  await toast(page, "Cron nightly pushed its job");
  assert.equal((await daemon.queue("reports")).pending, 1);
  await page.getByRole("button", { name: "Pause: nightly" }).click();
  await toast(page, "Paused cron nightly");
  assert.equal((await cron()).paused, true);
  await page.getByRole("button", { name: "Resume: nightly" }).click();
  await toast(page, "Resumed cron nightly");
  assert.equal((await cron()).paused, false);
  await page.getByRole("button", { name: "More actions for nightly" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  await page.locator("dialog[open]").getByRole("button", { name: "Copy definition" }).click();
  const line = await page.evaluate(() => navigator.clipboard.readText());
  await page.locator("dialog[open]").getByRole("button", { name: "Delete cron" }).click();
  await toast(page, "Cron nightly deleted");
  assert.equal(await cron(), undefined);
  assert.match(line, /12345678901234567890/, "every digit of the payload");
  await daemon.call(line);
  assert.equal((await cron()).schedule, "30 2 * * *");
  await closePage(page);
});

test("a refused action says why, and nothing is shown as done", async () => {
  const page = await at("#/crons", { expected: [/status of 400/] });
  await page.getByRole("button", { name: "Add cron…" }).click();
  for (const [name, text] of Object.entries({ name: "bad", queue: "q", schedule: "61 * * * *" })) await page.locator(`dialog [name=${name}]`).fill(text);
  await page.locator("dialog[open]").getByRole("button", { name: "Add" }).click();
  await page.locator("[data-testid=toast].of-failed").waitFor();
  assert.ok(await page.locator("dialog[open]").isVisible(), "the form stays, with what was typed");
  assert.equal((await daemon.ok("CRONLIST")).crons.some(({ name }) => name === "bad"), false);
  await closePage(page);
});

test("a double click sends once", async () => {
  const id = await daemon.dead("clicking");
  const page = await at(`#/jobs/${id}`);
  let sent = 0;
  page.on("request", (request) => (sent += request.method() === "POST" ? 1 : 0));
  await page.getByRole("button", { name: "Retry" }).dblclick();
  await toast(page, "1 job back in clicking");
  assert.equal(sent, 1);
  await closePage(page);
});

test("a row that ended meanwhile is struck out with the true reason", async () => {
  const id = await daemon.dead("raced");
  const page = await at("#/queues/raced?state=failed", { width: 800, expected: [/status of 404/] });
  await page.getByRole("checkbox", { name: `Select job ${id}` }).check();
  await daemon.ok("PURGEDLQ", { queue: "raced" });
  await page.getByRole("button", { name: "Retry 1" }).click();
  await page.locator("[data-testid=toast].of-failed").waitFor();
  await page.locator("main [data-row].is-gone").waitFor();
  await closePage(page);
});

test("with the keyboard alone: a failed job is found and retried, a queue drained", async () => {
  const id = await daemon.dead("by-key");
  await daemon.ok("PUSHB", { queue: "by-key", jobs: [{ data: 1 }, { data: 2 }] });
  const page = await at("#/");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("by-key");
  await page.keyboard.press("Enter"); // at once: it waits for what is found
  await page.waitForFunction(() => location.hash === "#/queues/by-key");
  await go(page, "#/queues/by-key?state=failed");
  await page.locator("main [data-row] a").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await page.getByText("1 selected").waitFor();
  await page.keyboard.press("r");
  await toast(page, "1 job back in by-key");
  assert.equal(await stateOf(id), "waiting");
  await page.getByRole("button", { name: "More actions for by-key" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.textContent === "Drain…");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.getAttribute("name") === "confirm");
  await page.keyboard.type("by-key");
  await page.keyboard.press("Enter");
  await toast(page, "3 jobs of by-key dropped");
  assert.equal((await daemon.queue("by-key")).pending, 0);
  await closePage(page);
});

test("single keys: places, theme, sheet; off in fields, and when they are switched off", async () => {
  const page = await at("#/");
  await page.keyboard.press("g");
  await page.keyboard.press("q");
  await page.waitForFunction(() => location.hash === "#/queues");
  await page.keyboard.press("/");
  await page.keyboard.type("gf?t");
  assert.equal(await page.evaluate(() => document.activeElement.value), "gf?t");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.locator("dialog[open]").getByRole("checkbox").uncheck();
  await page.keyboard.press("Escape");
  await page.keyboard.press("t");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), undefined);
  await closePage(page);
});

test("read-only: no action is offered", async () => {
  const reader = await Daemon.start({ env: { DASHBOARD: "read" } });
  try {
    const id = await reader.dead("looked-at");
    const page = await openPage(browser, reader, "#/queues/looked-at?state=failed");
    await live(page);
    await page.getByText("Read-only").waitFor();
    await page.locator("main [data-row]").waitFor();
    for (const name of ["Pause", "Limits…"]) assert.equal(await page.getByRole("button", { name, exact: true }).count(), 0);
    assert.equal(await page.getByRole("checkbox").count(), 0);
    await go(page, `#/jobs/${id}`);
    await page.locator("main .json-line").first().waitFor();
    assert.equal(await page.getByRole("button", { name: "Retry" }).count(), 0);
    await closePage(page);
  } finally {
    await reader.stop();
  }
});
