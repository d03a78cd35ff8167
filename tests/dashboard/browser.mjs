// The browser, and what may not happen in it whatever is done: errors of scripts, refusals of the content policy.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { PATIENCE } from "./until.mjs";

const MODULES = process.env.MODULES;
const { chromium } = await import(pathToFileURL(join(MODULES, "playwright-core", "index.mjs")));
const AXE = readFileSync(join(MODULES, "axe-core", "axe.min.js"), "utf8");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Refused requests are part of the walk; the browser reports each of them by itself. */
const EXPECTED = /Failed to load resource|WebSocket connection to .* failed/;

export async function openBrowser() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    colorScheme: "dark",
    acceptDownloads: true,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(Math.min(PATIENCE, 30_000));
  const faults = [];
  page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !EXPECTED.test(message.text())) faults.push(`console: ${message.text()}`);
  });
  const requests = new Set();
  page.on("request", (request) => requests.add(new URL(request.url()).host));
  return { browser, page, faults, requests };
}

/** What axe finds to be wrong on the page, a line each. */
export async function obstacles(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }),
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} at ${target}: ${failureSummary.replace(/\s+/g, " ")}`),
  );
}
