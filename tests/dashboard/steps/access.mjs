// The node goes and comes back; then it lets nobody in without a token.

import assert from "node:assert/strict";
import { until } from "../until.mjs";

export const ACCESS = [
  [
    "the wallet is backed up to a file, restored, and read again",
    async (world) => {
      const { page, open } = world;
      await open("backup");
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: "Save backup" }).click(),
      ]);
      await page.getByText(/Saved as batond-wallet/).waitFor();
      await page.getByLabel("Backup file").setInputFiles(await download.path());
      await page.getByText(/This file holds 1 key, 2 accounts/).waitFor();
      await page.getByRole("button", { name: "Restore" }).click();
      await page.getByText(/^Restored\./).waitFor();
      await page.getByRole("button", { name: "Rescan" }).click();
      await page.getByText(/^Begun\./).waitFor();
      await page.getByText("up to date with the chain").waitFor({ timeout: 60_000 });
    },
  ],

  [
    "a token is made, shown once, and checked",
    async (world) => {
      const { page, open } = world;
      await open("tokens");
      await page.getByRole("button", { name: "New token" }).click();
      await page.getByLabel("Name").fill("night");
      await page.getByRole("button", { name: "Create token" }).click();
      await page.getByText("Copy it now").waitFor();
      world.token = await page.locator(".secret code").textContent();
      assert.match(world.token, /^night:[0-9a-f]{64}$/);
      await world.shoot("token");
      await page.getByRole("button", { name: "Done" }).click();
      await until(
        "the secret to be gone from the page",
        async () => !(await page.content()).includes(world.token.split(":")[1]),
        5000,
      );
      await page.getByRole("row", { name: /night/ }).getByRole("button", { name: "Check" }).click();
      await page.getByLabel("Secret").fill("00".repeat(32));
      await page.getByRole("dialog").getByRole("button", { name: "Check" }).click();
      await page.getByRole("dialog").locator(".problem").waitFor();
      await page.getByLabel("Secret").fill(world.token);
      await page.getByRole("dialog").getByRole("button", { name: "Check" }).click();
      await page.getByText("The token “night” is right").waitFor();
    },
  ],

  [
    "a node that stops is told, with what was known and since when",
    async (world) => {
      const { page, open, node } = world;
      await open("blocks");
      await page.getByRole("table", { name: "Blocks" }).waitFor();
      await node.stop();
      await page.getByText("No answer from the node").first().waitFor();
      await page.getByText(/Next try in \d+ s/).waitFor();
      assert.ok(await page.getByRole("table", { name: "Blocks" }).isVisible(), "what was known stays");
      await world.shoot("no-answer");
    },
  ],

  [
    "it comes back and asks for a token: a wrong one is refused",
    async (world) => {
      const { page, node } = world;
      await node.start({ TM_AUTH_TRUST_LOOPBACK: "false" });
      await page.getByRole("heading", { name: "Sign in to this node" }).waitFor();
      await page.getByText("No answer from the node").waitFor({ state: "detached" });
      await page.getByLabel("Access token").fill(`night:${"0".repeat(64)}`);
      await page.getByRole("button", { name: "Sign in" }).click();
      const alert = page.getByRole("dialog").locator(".problem");
      await alert.getByText("BTM860").waitFor();
      await alert.getByText(/The token is unknown or was deleted/).waitFor();
      await world.shoot("sign-in");
    },
  ],

  [
    "with the right one the page goes on, and keeps it for the tab only",
    async ({ page, token }) => {
      await page.getByLabel("Access token").fill(token);
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Sign in to this node" }).waitFor({ state: "detached" });
      await page.getByRole("table", { name: "Blocks" }).waitFor();
      const kept = await page.evaluate(() => ({
        session: Object.values(sessionStorage),
        local: Object.values(localStorage),
        cookie: document.cookie,
      }));
      assert.deepEqual(kept, { session: [token], local: [], cookie: "" });
      await page.reload();
      await page.getByRole("table", { name: "Blocks" }).waitFor();
      await page.locator("#feed", { hasText: "live" }).waitFor();
    },
  ],

  [
    "signing out forgets it",
    async ({ page }) => {
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByRole("heading", { name: "Sign in to this node" }).waitFor();
      await until("the token to be forgotten", () => page.evaluate(() => sessionStorage.length === 0));
    },
  ],
];
