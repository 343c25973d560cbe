// The link to the server: cut, at its cap, over a restart, with and without a token.
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { after, before, test } from "node:test";
import { closePage, go, launch, live, openPage } from "./browser.mjs";
import { Daemon, until } from "./daemon.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

const NETWORK = [/status of (401|503)/, /ERR_(CONNECTION|INCOMPLETE|EMPTY|NETWORK|ABORTED)/, /Failed to load resource/];
const pill = (page, text) => page.locator("[data-testid=link]", { hasText: text }).waitFor({ timeout: 60_000 });

async function withDaemon(options, run) {
  let daemon = await Daemon.start(options);
  try {
    await run(daemon, (next) => (daemon = next));
  } finally {
    await daemon.stop();
  }
}

test("figures move as jobs come, without a reload", () =>
  withDaemon({}, async (daemon) => {
    const page = await openPage(browser, daemon);
    await live(page);
    await page.getByText("No queues yet").waitFor();
    await daemon.ok("PUSHB", { queue: "moving", jobs: Array.from({ length: 1234 }, () => ({ data: 1 })) });
    await page.locator('.tile[data-state=waiting] .tile-figure', { hasText: "1,234" }).waitFor();
    await page.locator("main [data-row]", { hasText: "moving" }).waitFor();
    await closePage(page);
  }));

test("the daemon goes and comes back: the page says so, dims, and is live again by itself", { timeout: 180_000 }, () =>
  withDaemon({}, async (daemon, now) => {
    await daemon.ok("PUSH", { queue: "before", data: 1 });
    const page = await openPage(browser, daemon, "#/queues", { expected: NETWORK });
    await live(page);
    await page.locator("main [data-row]", { hasText: "before" }).waitFor();
    await daemon.stop();
    await pill(page, "Reconnecting");
    await page.locator(".view.is-stale").waitFor({ timeout: 60_000 });
    assert.ok(await page.locator("main [data-row]", { hasText: "before" }).isVisible(), "the last good data stays");
    const again = await daemon.restart();
    now(again);
    await again.ok("PUSH", { queue: "after", data: 1 });
    await pill(page, "Live");
    await page.locator("main [data-row]", { hasText: "after" }).waitFor();
    assert.equal(await page.locator("main [data-row]", { hasText: "before" }).count(), 0);
    await closePage(page);
  }));

/** A line to the daemon that can be cut. */
async function cable(daemon) {
  const ends = new Set();
  const server = createServer((near) => {
    const far = connect(daemon.http, "127.0.0.1");
    near.pipe(far).pipe(near);
    for (const end of [near, far]) {
      ends.add(end);
      end.on("error", () => {}).on("close", () => (ends.delete(end), near.destroy(), far.destroy()));
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    cut: () => ends.forEach((end) => end.destroy()),
    close: () => (ends.forEach((end) => end.destroy()), server.close()),
  };
}

test("a stream that is cut is opened again", () =>
  withDaemon({}, async (daemon) => {
    const line = await cable(daemon);
    const page = await openPage(browser, line, "#/", { expected: NETWORK });
    await live(page);
    const again = page.waitForRequest((request) => request.url().includes("/dashboard/stream"));
    line.cut();
    await again;
    await daemon.ok("PUSHB", { queue: "cut", jobs: Array.from({ length: 77 }, () => ({ data: 1 })) });
    await page.locator(".tile[data-state=waiting] .tile-figure", { hasText: "77" }).waitFor();
    await pill(page, "Live");
    await closePage(page);
    line.close();
  }));

test("past the cap of streams the page polls, and shows the same", () =>
  withDaemon({ env: { DASHBOARD_STREAMS: "1" } }, async (daemon) => {
    const first = await openPage(browser, daemon);
    await live(first);
    const second = await openPage(browser, daemon, "#/", { expected: NETWORK });
    await pill(second, "Polling");
    await daemon.ok("PUSHB", { queue: "polled", jobs: [{ data: 1 }, { data: 2 }] });
    await second.locator('.tile[data-state=waiting] .tile-figure', { hasText: "2" }).waitFor();
    await closePage(first);
    await closePage(second);
  }));

test("the snapshot and the stream say the same", () =>
  withDaemon({}, async (daemon) => {
    await daemon.ok("PUSH", { queue: "same", data: 1 });
    const query = "view=queues&search=same";
    const polled = await (await fetch(`${daemon.url}dashboard/snapshot?${query}`)).json();
    const stop = new AbortController();
    const reader = (await fetch(`${daemon.url}dashboard/stream?${query}`, { signal: stop.signal })).body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("\n\n")) text += (await reader.read()).value;
    stop.abort();
    const streamed = JSON.parse(/^data: (.*)$/m.exec(text)[1]);
    assert.deepEqual(Object.keys(streamed), Object.keys(polled));
    assert.deepEqual(streamed.view.rows.map(({ name, waiting }) => [name, waiting]), [["same", 1]]);
    assert.deepEqual(streamed.counts, polled.counts);
  }));

test("a vanished reader gives its stream back", { timeout: 60_000 }, () =>
  withDaemon({ env: { DASHBOARD_STREAMS: "2" } }, async (daemon) => {
    const stops = [new AbortController(), new AbortController()];
    for (const { signal } of stops) assert.equal((await fetch(`${daemon.url}dashboard/stream?view=overview`, { signal })).status, 200);
    const full = await fetch(`${daemon.url}dashboard/stream?view=overview`);
    assert.equal(full.status, 503);
    assert.ok(Number(full.headers.get("Retry-After")) > 0);
    assert.equal((await full.json()).code, "unavailable");
    for (const stop of stops) stop.abort();
    await until(async () => (await (await fetch(`${daemon.url}dashboard/snapshot?view=overview`)).json()).server.streams[0] === 0, "both streams given back");
  }));

test("a view that is asked for wrongly is refused with the reason", () =>
  withDaemon({}, async (daemon) => {
    for (const query of ["view=nonsense", "view=queue", "view=job&id=x", "view=queues&limit=0", "view=queues&sort=size", "view=queues&cursor=%00"]) {
      const answer = await fetch(`${daemon.url}dashboard/snapshot?${query}`);
      assert.equal(answer.status, 400, query);
      assert.equal((await answer.json()).code, "invalid");
    }
    assert.equal((await fetch(`${daemon.url}dashboard/history?window=9m`)).status, 400);
    assert.equal((await fetch(`${daemon.url}dashboard/snapshot?view=overview`)).status, 200);
  }));

test("a token: asked for in place, refused when wrong, kept in the tab only if ticked, asked for again when revoked", { timeout: 120_000 }, () =>
  withDaemon({ env: { AUTH_TOKENS: "secret" } }, async (daemon, now) => {
    assert.equal((await fetch(daemon.url)).status, 200, "the shell has no data");
    assert.equal((await fetch(`${daemon.url}dashboard/snapshot?view=overview`)).status, 401);
    const page = await openPage(browser, daemon, "#/queues?sort=pending", { expected: NETWORK });
    await page.getByRole("heading", { name: "Token" }).waitFor();
    await page.locator("input[name=token]").fill("wrong");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByText("does not accept this token").waitFor();
    await page.locator("input[name=token]").fill("secret");
    await page.getByRole("checkbox").check();
    await page.getByRole("button", { name: "Continue" }).click();
    await live(page);
    assert.equal(await page.evaluate(() => location.hash), "#/queues?sort=pending", "the route is kept");
    await page.reload();
    await live(page);
    assert.deepEqual(await page.evaluate(() => [document.cookie, JSON.stringify(localStorage), location.href.includes("secret")]), ["", "{}", false]);
    now(await daemon.restart({ AUTH_TOKENS: "another" }));
    await page.getByRole("heading", { name: "Token" }).waitFor({ timeout: 60_000 });
    await closePage(page);
  }));

test("a hidden tab closes its stream and opens it on return", { timeout: 60_000 }, () =>
  withDaemon({}, async (daemon) => {
    const page = await openPage(browser, daemon);
    await live(page);
    const streams = async () => (await (await fetch(`${daemon.url}dashboard/snapshot?view=overview`)).json()).server.streams[0];
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => globalThis.isAway ?? false });
      globalThis.isAway = true;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await until(async () => (await streams()) === 0, "the stream is closed", 40_000);
    await page.evaluate(() => {
      globalThis.isAway = false;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await until(async () => (await streams()) === 1, "the stream is open again");
    await go(page, "#/queues");
    await live(page);
    await closePage(page);
  }));
