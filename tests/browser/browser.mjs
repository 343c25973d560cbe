// Debian's Chromium, and pages that fail a test by any error on the console, any violation of the page's policy, any
// request to another host, any unhandled rejection.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const CHROMIUM = process.env.MQFAST_CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

export async function launch() {
  if (!CHROMIUM) throw new Error("no Chromium: apt-get install chromium, or set MQFAST_CHROMIUM");
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** A page that watches itself. `expected`: console errors that the test provokes. */
export async function openPage(browser, daemon, hash = "#/", { width = 1440, height = 900, theme = "light", expected = [], storage } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce", timezoneId: "Europe/Paris", permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  const wrong = [];
  const host = new URL(daemon.url).host;
  page.on("console", (message) => {
    if (message.type() === "error" && !expected.some((text) => text.test(message.text()))) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`unhandled: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.host !== host) wrong.push(`foreign request: ${url}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  if (storage) await page.addInitScript(storage);
  page.setDefaultTimeout(20_000);
  await page.goto(daemon.url + hash);
  page.wrong = wrong;
  return page;
}

/** Closes a page; what went wrong on it fails the test. */
export async function closePage(page) {
  await page.context().close();
  assert.deepEqual(page.wrong, []);
}

export const live = (page) => page.locator("[data-testid=link]", { hasText: "Live" }).waitFor();
export const toast = (page, text) => page.locator("[data-testid=toast]", { hasText: text }).first().waitFor();
export const go = (page, hash) => page.evaluate((to) => (location.hash = to), hash);

/** Findings of axe, as "rule: selector". The policy is the page's, not axe's: it is put in past it. */
export async function axe(page) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axeSource);
  return page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    return violations.flatMap(({ id, nodes }) => nodes.slice(0, 3).map((node) => `${id}: ${node.target} ${node.any[0]?.message ?? node.all[0]?.message ?? node.failureSummary}`));
  });
}

/** By how many pixels the page is wider than the window, and how many elements there are. */
export const measure = (page) => page.evaluate(() => ({ sideways: document.documentElement.scrollWidth - innerWidth, nodes: document.querySelectorAll("*").length }));
