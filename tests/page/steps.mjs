// What the page has to show, in the order in which it happens.

import { obstacles } from "../dashboard/browser.mjs";
import { until } from "../dashboard/until.mjs";
import { INFO } from "./supervised.mjs";

const WIDTHS = [360, 900, 1600];

const card = (page, title) => page.locator(".card", { has: page.getByRole("heading", { name: title, exact: true }) });
const shows = (locator, text) => locator.getByText(text).first().waitFor();

export const STEPS = [
  [
    "the page comes up and lives",
    async ({ page, supervised, shoot }) => {
      await page.goto(supervised.url);
      await shows(page.locator("#link"), "live");
      await shows(page.locator("#headline"), "Running genesis");
      await shows(card(page, "Node"), /running for .*, pid \d+/);
      await shoot("running");
    },
  ],
  [
    "heights go on by themselves",
    async ({ page }) => {
      const height = async () => Number((await card(page, "Node").innerText()).match(/(\d+) from rpc/)?.[1]);
      const first = await until("a height", height);
      await until("the next height", async () => (await height()) > first);
    },
  ],
  [
    "an upgrade is shown as it happens, with its steps",
    async ({ page, shoot }) => {
      await shows(card(page, "Last upgrade"), /v2 at height 30, confirmed/);
      await shows(card(page, "Last upgrade"), /^switch/);
      await shows(page.locator("#headline"), "Running upgrades/v2");
      await shows(card(page, "Backups"), /by (reflink|hardlink|copy)/);
      await shoot("upgraded");
    },
  ],
  [
    "the time-line tells what the history has, newest first",
    async ({ page, supervised }) => {
      const kinds = () => page.locator("#events .kind").allInnerTexts();
      await until("all events", async () => {
        const told = supervised.events().map((event) => event.kind).reverse();
        return String(await kinds()) === String(told);
      });
      await page.getByLabel("Show").selectOption("upgrades");
      await until("only those of upgrades", async () => !(await kinds()).includes("node-started"));
      if (!(await kinds()).includes("upgrade-confirmed")) throw new Error(`among upgrades: ${await kinds()}`);
      await page.getByLabel("Show").selectOption("troubles");
      await until("nothing went wrong", async () => (await kinds()).length === 0);
      await page.getByLabel("Show").selectOption("all");
    },
  ],
  [
    "what others write stays a text",
    async ({ page, supervised }) => {
      // A hostile supervisor's answer is drawn by the same functions.
      const seen = await page.evaluate(async (info) => {
        const { drawCards, drawEvents } = await import("./page/draw.js");
        const into = document.createElement("div");
        const row = [info, info, "bad"];
        drawCards(into, [{ title: info, rows: [row] }]);
        const list = document.createElement("ol");
        drawEvents(list, [{ at: "2026-11-21T03:00:00Z", instant: info, kind: info, tone: "", text: info }]);
        return [into.querySelectorAll("img").length + list.querySelectorAll("img").length, into.textContent.includes(info)];
      }, INFO);
      if (String(seen) !== "0,true") throw new Error(`drawn as markup: ${seen}`);
      const { headers } = await fetch(supervised.url).then((answer) => ({ headers: answer.headers }));
      if (!/default-src 'none'/.test(headers.get("content-security-policy"))) throw new Error("no content policy");
    },
  ],
  ...WIDTHS.flatMap((width) =>
    ["light", "dark"].map((scheme) => [
      `it stands at ${width} px, ${scheme}`,
      async ({ page, shoot }) => {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme: scheme });
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (over > 0) throw new Error(`it is ${over} px too wide`);
        const wrong = await obstacles(page);
        if (wrong.length) throw new Error(wrong.join("\n"));
        await shoot(`${width}-${scheme}`);
      },
    ]),
  ),
  [
    "a supervisor that is gone is said to be, and found again",
    async ({ page, supervised, shoot }) => {
      await supervised.stop();
      await page.getByRole("alert").waitFor();
      await shows(page.locator("#link"), "no answer");
      const wrong = await obstacles(page);
      if (wrong.length) throw new Error(wrong.join("\n"));
      await shoot("gone");
      await supervised.start();
      await shows(page.locator("#link"), "live");
      await page.getByRole("alert").waitFor({ state: "hidden" });
      await until("the events of the new one", async () => {
        const told = supervised.events().map((event) => event.kind).reverse();
        return String(await page.locator("#events .kind").allInnerTexts()) === String(told);
      });
    },
  ],
  [
    "nothing went wrong unseen, and nobody else was asked",
    async ({ faults, requests, supervised }) => {
      if (faults.length) throw new Error(faults.join("\n"));
      const others = [...requests].filter((host) => host !== supervised.address);
      if (others.length) throw new Error(`the page asked others: ${others}`);
    },
  ],
];
