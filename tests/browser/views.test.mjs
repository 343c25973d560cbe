// Every view in both themes at every width: nothing for axe to find, no sideways scroll, a bounded document.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axe, closePage, go, launch, live, measure, openPage } from "./browser.mjs";
import { Daemon, seed } from "./daemon.mjs";

const WIDTHS = [320, 390, 768, 1440, 3840];
const MOST_NODES = 1500;
let daemon, browser, failed, held;

before(async () => {
  [daemon, browser] = await Promise.all([Daemon.start(), launch()]);
  await seed(daemon);
  failed = (await daemon.ok("GETJOBS", { queue: "webhooks", state: "failed", limit: 1 })).jobs[0].id;
  held = (await daemon.ok("GETJOBS", { queue: "exports", state: "active", limit: 1 })).jobs[0].id;
});
after(async () => {
  await browser?.close();
  await daemon?.stop();
});

const views = () => [
  ["overview", "#/", "main .tile"],
  ["queues", "#/queues", "main [data-row]"],
  ["one queue", "#/queues/emails", "main [data-row]"],
  ["a queue's failed jobs", "#/queues/webhooks?state=failed", "main [data-row] input"],
  ["a queue without such jobs", "#/queues/exports?state=completed", "main .empty"],
  ["a failed job", `#/jobs/${failed}`, "main .json-line"],
  ["a job that is worked on", `#/jobs/${held}`, "main progress"],
  ["a job that is not known", "#/jobs/9007199254740991", "main .empty"],
  ["failed", "#/failed", "main [data-row] input"],
  ["crons", "#/crons", "main [data-row]"],
  ["workers", "#/workers", "main .note, main [data-row]"],
  ["no such view", "#/nonsense", "main h1"],
];

for (const theme of ["light", "dark"]) {
  test(`views, ${theme}`, { timeout: 300_000 }, async (t) => {
    const page = await openPage(browser, daemon, "#/", { theme, expected: [/status of 404/] });
    await live(page);
    for (const [name, hash, ready] of views()) {
      await t.test(name, async () => {
        const findings = [];
        for (const width of WIDTHS) {
          await page.setViewportSize({ width, height: width < 640 ? 844 : 1000 });
          await go(page, hash);
          await page.locator(ready).first().waitFor();
          const { sideways, nodes } = await measure(page);
          if (sideways > 0) findings.push(`${width}: ${sideways} px too wide`);
          if (nodes > MOST_NODES) findings.push(`${width}: ${nodes} elements`);
          findings.push(...(await axe(page)).map((finding) => `${width}: ${finding}`));
        }
        assert.deepEqual(findings, []);
      });
    }
    await closePage(page);
  });
}

test("each view has one h1, a title, and the focus on it after navigation", async () => {
  const page = await openPage(browser, daemon);
  await live(page);
  for (const [hash, title] of [["#/queues", "Queues · mqfast"], ["#/queues/emails", "emails · mqfast"], ["#/failed", "Failed · mqfast"], ["#/crons", "Crons · mqfast"], ["#/workers", "Workers · mqfast"]]) {
    await go(page, hash);
    await page.waitForFunction((wanted) => document.title === wanted && document.activeElement?.tagName === "H1", title);
    assert.equal(await page.locator("h1").count(), 1);
  }
  await closePage(page);
});

test("the theme is kept, and has no flash: it is set before the first paint", async () => {
  const page = await openPage(browser, daemon, "#/queues", { theme: "light" });
  await live(page);
  await page.getByRole("button", { name: /^Theme: system/ }).click();
  await page.getByRole("button", { name: /^Theme: light/ }).click();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor), "rgb(13, 17, 23)");
  await closePage(page);
});

test("the dialogs, the palette and the sheet are clean for axe, at both widths", { timeout: 120_000 }, async () => {
  const page = await openPage(browser, daemon, "#/queues/emails");
  await live(page);
  for (const width of [390, 1440]) {
    await page.setViewportSize({ width, height: 844 });
    await page.locator("main [data-row]").first().waitFor();
    for (const opened of [
      () => page.keyboard.press("Control+k"),
      async () => (await page.getByRole("button", { name: "More actions for emails" }).click(), page.getByRole("menuitem", { name: "Drain…" }).click()),
      () => page.keyboard.press("?"),
    ]) {
      await opened();
      await page.locator("dialog[open]").waitFor();
      assert.deepEqual(await axe(page), []);
      assert.ok((await measure(page)).sideways <= 0);
      await page.keyboard.press("Escape");
      await page.locator("dialog[open]").waitFor({ state: "hidden" });
    }
  }
  await closePage(page);
});
