// Every page at three widths in both schemes: nothing runs over the edge, nothing keeps anybody out.

import { obstacles } from "../browser.mjs";

const PAGES = [
  "overview",
  "blocks",
  "block/1",
  "block/1?tab=raw",
  "pool",
  "peers",
  "validators",
  "accounts",
  "account/treasury",
  "account/treasury?tab=keys",
  "history",
  "addresses",
  "outputs",
  "votes",
  "assets",
  "keys",
  "send",
  "send?mode=actions",
  "send?mode=paste",
  "tools",
  "mining",
  "backup",
  "tokens",
  "search/zz",
];
const WIDTHS = [
  [360, 780],
  [900, 900],
  [1600, 1000],
];

export const LOOKS = WIDTHS.flatMap(([width, height]) =>
  ["light", "dark"].map((scheme) => [
    `every page stands at ${width} px, ${scheme}`,
    async (world) => {
      const { page, open, shoot, sent } = world;
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: scheme });
      const wrong = [];
      for (const address of [...PAGES, `tx/${sent}`]) {
        await open(address);
        await page.locator("main .page").waitFor();
        await page.locator("main .skeleton").first().waitFor({ state: "detached" });
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (over > 0) wrong.push(`${address} is ${over} px too wide`);
        wrong.push(...(await obstacles(page)).map((obstacle) => `${address}: ${obstacle}`));
        await shoot(`${width}-${scheme}-${address.replace(/\W+/g, "-")}`, { fullPage: true });
      }
      if (wrong.length) throw new Error(wrong.join("\n"));
    },
  ]),
).concat([
  [
    "the menu opens by keyboard on a narrow screen",
    async ({ page, open, shoot }) => {
      await page.setViewportSize({ width: 360, height: 780 });
      await open();
      const menu = page.getByRole("button", { name: "Menu" });
      await menu.focus();
      await page.keyboard.press("Enter");
      await page.getByRole("link", { name: "Peers" }).waitFor();
      await shoot("menu");
      await page.keyboard.press("Escape");
      await page.getByRole("link", { name: "Peers" }).waitFor({ state: "hidden" });
      await page.setViewportSize({ width: 1280, height: 900 });
    },
  ],
  [
    "the scheme is chosen and kept",
    async ({ page }) => {
      await page.emulateMedia({ colorScheme: "dark" });
      const ground = () => page.evaluate(() => getComputedStyle(document.body.parentElement).backgroundColor);
      const dark = await ground();
      await page.getByRole("button", { name: /^Colours/ }).click();
      if ((await ground()) === dark) throw new Error("light was chosen, and nothing changed");
      await page.reload();
      await page.locator("main .page").waitFor();
      if ((await ground()) === dark) throw new Error("light was forgotten");
      await page.evaluate(() => localStorage.clear());
      await page.reload();
    },
  ],
]);
