// Names, payloads and errors that mean harm are shown as text: as stored, digit by digit, and nothing of them runs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axe, closePage, go, launch, live, measure, openPage, toast } from "./browser.mjs";
import { Daemon } from "./daemon.mjs";

const NAMES = [
  `<img src=x onerror="document.title='pwned'">`,
  `"><script>document.title='pwned'</script>`,
  `javascript:document.title='pwned'`,
  "safe\u202egnp.exe",
  "new\nline\ttab\u0000nul",
  "a/b/../c?d=e#f%2F",
  "\u{1f469}\u200d\u{1f680} emoji",
  "x".repeat(255),
  "{{constructor.constructor('document.title=1')()}}",
];
let daemon, browser;

before(async () => {
  [daemon, browser] = await Promise.all([Daemon.start(), launch()]);
  for (const queue of NAMES) await daemon.ok("PUSH", { queue, data: { queue } });
});
after(async () => {
  await browser?.close();
  await daemon?.stop();
});

const at = async (hash, options) => {
  const page = await openPage(browser, daemon, hash, options);
  await live(page);
  return page;
};
const intact = async (page) => {
  assert.equal(await page.evaluate(() => document.querySelectorAll("main img, main script").length), 0);
  assert.doesNotMatch(await page.title(), /^pwned|^1$/);
};

test("hostile queue names are listed as text, and each has its page", { timeout: 120_000 }, async () => {
  const page = await at("#/queues");
  await page.waitForFunction((n) => document.querySelectorAll("main [data-row]").length === n, NAMES.length);
  await intact(page);
  const shown = await page.locator("main [data-row] .row-link").allTextContents();
  assert.ok(shown.includes("safe\\u{202e}gnp.exe"), "bidi marks are shown as escapes");
  assert.ok(shown.includes("new\\u{a}line\\u{9}tab\\u{0}nul"), "so are controls");
  for (const width of [320, 1440]) {
    await page.setViewportSize({ width, height: 900 });
    for (const name of NAMES) {
      await go(page, `#/queues/${encodeURIComponent(name)}`);
      await page.waitForFunction((wanted) => document.querySelector("main h1")?.textContent === wanted && document.querySelector("main [data-row]"), name.replace(/[\u0000-\u001f\u202e\u200d]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`));
      assert.ok((await measure(page)).sideways <= 0, `${width}: ${name}`);
      await intact(page);
    }
  }
  await closePage(page);
});

test("an action on a hostile name reaches that queue and no other", async () => {
  for (const name of NAMES) {
    const page = await at(`#/queues/${encodeURIComponent(name)}`);
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    await toast(page, "Paused");
    assert.deepEqual((await daemon.ok("LISTQUEUES")).queues.filter(({ paused }) => paused).map((row) => row.name), [name]);
    await daemon.ok("RESUME", { queue: name });
    await closePage(page);
  }
});

test("a name that cannot be typed is confirmed by the number of jobs", async () => {
  const name = "drain\u202eme";
  await daemon.ok("PUSHB", { queue: name, jobs: [{ data: 1 }, { data: 2 }, { data: 3 }] });
  const page = await at(`#/queues/${encodeURIComponent(name)}`);
  await page.getByRole("button", { name: /^More actions/ }).click();
  await page.getByRole("menuitem", { name: "Drain…" }).click();
  await page.getByText("Type the number of jobs").waitFor();
  await page.locator("input[name=confirm]").fill("3");
  await page.locator("dialog[open]").getByRole("button", { name: "Drain" }).click();
  await toast(page, "3 jobs");
  assert.equal((await daemon.queue(name)).pending, 0);
  await closePage(page);
});

async function pushRaw(queue, data) {
  return (await daemon.call(`{"cmd":"PUSH","queue":${JSON.stringify(queue)},"data":${data}}`)).id;
}

test("a payload is shown as it is stored: every digit, duplicate keys, markup, bidi marks", async () => {
  const data = `{"n":123456789012345678901234567890.000000000000000001,"e":1E400,"dup":1,"dup":2,"html":"<img src=x onerror=alert(1)>","bidi":"a\u202eb","esc":"\\u0041\\ud800","":[ ],"o":{ }}`;
  const id = await pushRaw("payloads", data);
  const page = await at(`#/jobs/${id}`);
  const tree = page.getByRole("region", { name: "Payload", exact: true });
  const text = await tree.textContent();
  for (const part of ["123456789012345678901234567890.000000000000000001", "1E400", "<img src=x onerror=alert(1)>", "a\\u{202e}b", "\\u0041\\ud800"]) assert.ok(text.includes(part), part);
  assert.equal(text.split('"dup"').length, 3);
  await intact(page);
  await page.getByRole("button", { name: "Raw" }).click();
  assert.equal(await page.getByRole("region", { name: "Payload, raw" }).textContent(), data.replace("\u202e", "\\u{202e}"));
  await page.getByRole("button", { name: "Copy", exact: true }).click();
  await toast(page, "copied");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), data, "what is copied is what is stored");
  assert.deepEqual(await axe(page), []);
  await closePage(page);
});

test("1 MiB of JSON, and 200 levels of nesting, are shown within the bounds of the document", { timeout: 120_000 }, async () => {
  const wide = `[${Array.from({ length: 40_000 }, (_, i) => `{"i":${i},"s":"${"x".repeat(8)}"}`).join(",")}]`.slice(0, 1_000_000).replace(/,[^,]*,[^,]*$/, "]");
  const deep = `${"[".repeat(200)}1${"]".repeat(200)}`;
  const long = JSON.stringify({ text: "y".repeat(900_000) });
  for (const data of [wide, deep, long]) {
    const id = await pushRaw("large", data);
    assert.ok(id, "the daemon takes it");
    const page = await at(`#/jobs/${id}`);
    await page.locator(".json-line").first().waitFor();
    const { sideways, nodes } = await measure(page);
    assert.ok(sideways <= 0);
    assert.ok(nodes <= 1500, `${nodes} elements`);
    await closePage(page);
  }
});

test("more of a long payload is shown on demand, found, folded", async () => {
  const data = `[${Array.from({ length: 9000 }, (_, i) => `{"item":${i}}`).join(",")}]`;
  const page = await at(`#/jobs/${await pushRaw("long", data)}`);
  await page.getByRole("button", { name: /more · show/ }).click();
  await page.getByRole("searchbox", { name: "Find in Payload" }).fill("8999");
  await page.getByText("1/1").waitFor();
  await page.locator(".json-line.is-hit", { hasText: "8999" }).waitFor();
  await page.getByRole("searchbox", { name: "Find in Payload" }).fill("");
  await page.getByRole("region", { name: "Payload", exact: true }).evaluate((box) => (box.scrollTop = 0));
  await page.getByRole("button", { name: "Fold" }).first().click();
  await page.waitForFunction(() => document.querySelectorAll(".json-line").length === 1);
  await closePage(page);
});

test("a hostile error and a hostile progress message are text", async () => {
  const evil = `<svg onload="document.title='pwned'">\u202e\n  at second line`;
  const id = await daemon.dead("errors", evil);
  const page = await at(`#/jobs/${id}`);
  const shown = await page.locator(".error-text").textContent();
  assert.ok(shown.includes(`<svg onload="document.title='pwned'">\\u{202e}`));
  await go(page, "#/failed/errors");
  await page.locator("main [data-row]").waitFor();
  await intact(page);
  await daemon.ok("PUSH", { queue: "telling", data: 1 });
  const { job } = await daemon.ok("PULL", { queue: "telling", timeout: 0, lease: 60_000 });
  await daemon.ok("PROGRESS", { id: job.id, progress: 5, message: evil });
  await go(page, `#/jobs/${job.id}`);
  await page.locator(".progress-line", { hasText: "<svg onload" }).waitFor();
  await intact(page);
  await closePage(page);
});

test("a queue whose name no URL can hold is shown, and says so", async () => {
  await daemon.ok("PUSH", { queue: "..", data: 1 });
  const page = await at("#/queues/..", { expected: [/status of 40[04]/] });
  await page.getByText("A URL cannot hold this name").waitFor();
  await closePage(page);
});

test("a place that is no place is answered, not thrown at", async () => {
  const page = await at("#/queues/%E0%A4%A");
  await page.getByRole("heading", { name: "Not found" }).waitFor();
  await go(page, "#/jobs/abc");
  await page.getByRole("heading", { name: "Not found" }).waitFor();
  await closePage(page);
});

test("errors keep their lines, and an attempt that failed without a word has none", { timeout: 120_000 }, async () => {
  const { id } = await daemon.ok("PUSH", { queue: "words", data: 1, max_attempts: 2 });
  await daemon.ok("PULL", { queue: "words", timeout: 0 });
  await daemon.ok("FAIL", { id });
  await daemon.ok("PULL", { queue: "words", timeout: 0 });
  await daemon.ok("FAIL", { id, error: "first line\n\tsecond \u202e line" });
  const page = await at(`#/jobs/${id}`);
  const errors = page.locator(".error-text");
  await errors.nth(1).waitFor();
  assert.deepEqual(await errors.allTextContents(), ["first line\n\tsecond \\u{202e} line", "no message"]);
  await closePage(page);
});
