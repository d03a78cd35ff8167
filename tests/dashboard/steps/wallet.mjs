// From an empty node to one that mines for an account.

import assert from "node:assert/strict";
import { until } from "../until.mjs";

export const PASSWORD = "correct horse 7";

export const WALLET = [
  [
    "an empty node is told as one",
    async ({ page, open }) => {
      await open();
      await page.getByText("No blocks are being made").waitFor();
      await open("keys");
      await page.getByText("No keys yet").waitFor();
      await open("accounts");
      await page.getByText("No accounts yet").waitFor();
    },
  ],

  [
    "an account without a key is refused with the way to one",
    async ({ page }) => {
      await page.getByRole("button", { name: "New account" }).first().click();
      await page.getByText("An account needs a key").waitFor();
      await page.getByRole("button", { name: "To the keys" }).click();
      await page.getByRole("heading", { name: "Keys", exact: true }).waitFor();
    },
  ],

  [
    "a key is made, and its words are shown once",
    async (world) => {
      const { page } = world;
      await page.getByRole("button", { name: "New key" }).first().click();
      await page.getByLabel("Alias").fill("operator");
      await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
      await page.getByLabel("The same again").fill("something else");
      await page.getByRole("button", { name: "Create key" }).click();
      await page.getByText("The two differ").waitFor();
      await page.getByLabel("The same again").fill(PASSWORD);
      await page.getByRole("button", { name: "Create key" }).click();
      const words = page.getByRole("list", { name: "Recovery words" }).getByRole("listitem");
      await words.first().waitFor();
      assert.equal(await words.count(), 12);
      world.words = await words.allTextContents();
      await world.shoot("recovery-words");
      await page.keyboard.press("Escape");
      assert.ok(await words.first().isVisible(), "Escape must not lose the words");
      assert.ok(await page.getByRole("button", { name: "Done" }).isDisabled());
      await page.getByLabel(/written the words down/).check();
      await page.getByRole("button", { name: "Done" }).click();
      await page.getByRole("row", { name: /operator/ }).waitFor();
      const left = await page.evaluate(
        () => document.documentElement.outerHTML + JSON.stringify({ ...localStorage, ...sessionStorage }),
      );
      assert.ok(
        !left.includes(world.words.slice(0, 3).join(" ")) && !left.includes(PASSWORD),
        "words and password leave no trace",
      );
    },
  ],

  [
    "the password of a key is checked and changed",
    async ({ page }) => {
      await page.getByRole("button", { name: "Check password: operator" }).click();
      await page.getByLabel("Password", { exact: true }).fill("wrong");
      await page.getByRole("button", { name: "Check", exact: true }).click();
      await page.getByText("That is not its password").waitFor();
      await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
      await page.getByRole("button", { name: "Check", exact: true }).click();
      await page.getByText("The password of “operator” is right").waitFor();
    },
  ],

  [
    "an error of the node is shown with its code, its text and what to do",
    async (world) => {
      const { page } = world;
      await page.getByRole("button", { name: "New key" }).first().click();
      await page.getByLabel("Alias").fill("operator");
      await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
      await page.getByLabel("The same again").fill(PASSWORD);
      await page.getByRole("button", { name: "Create key" }).click();
      const alert = page.getByRole("dialog").locator(".problem");
      await alert.getByText("BTM800").waitFor();
      await alert.getByText("A key has this alias already. Choose another.").waitFor();
      await alert.getByText("POST /create-key").waitFor();
      await world.shoot("error");
      await page.keyboard.press("Escape");
    },
  ],

  [
    "a key is imported from its words, renamed and deleted",
    async ({ page }) => {
      await page.getByRole("button", { name: "Import" }).click();
      await page.getByLabel("Alias").fill("guest");
      await page
        .getByLabel("Recovery words", { exact: true })
        .fill("season version dilemma crowd filter lecture trim strategy viable atom young oven");
      await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
      await page.getByLabel("The same again").fill(PASSWORD);
      await page.getByRole("button", { name: "Import key" }).click();
      const row = page.getByRole("row", { name: /guest/ });
      await row.getByText(/^96de0361f1aba7e629d1425c097a1035678020/).waitFor();
      await row.getByRole("button", { name: "Rename" }).click();
      await page.getByLabel("New alias").fill("visitor");
      await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
      const renamed = page.getByRole("row", { name: /visitor/ });
      await renamed.getByRole("button", { name: "Delete" }).click();
      await page.getByLabel(/recovery words or a backup/).check();
      await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
      await page.getByRole("button", { name: "Delete key" }).click();
      await renamed.waitFor({ state: "detached" });
    },
  ],

  [
    "accounts and addresses are made",
    async (world) => {
      const { page, open, node } = world;
      await open("accounts");
      for (const alias of ["treasury", "payroll"]) {
        await open("accounts");
        await page.getByRole("button", { name: "New account" }).first().click();
        await page.getByLabel("Alias").fill(alias);
        await page.getByRole("button", { name: "Create account" }).click();
        await page.getByRole("heading", { name: alias }).waitFor();
        await page.getByRole("button", { name: "New address" }).first().click();
        await page.getByRole("button", { name: "Make address" }).click();
        await page.getByText("Made. It can be paid to at once.").waitFor();
        await page.getByRole("button", { name: "Done" }).click();
      }
      const accounts = await node.ask("list-accounts");
      const payroll = accounts.find(({ alias }) => alias === "payroll");
      [{ address: world.payroll }] = await node.ask("list-addresses", { account_id: payroll.id });
      await page.getByRole("link", { name: "Addresses", exact: true }).last().click();
      await page.getByText(world.payroll.slice(0, -6), { exact: true }).waitFor();
    },
  ],

  [
    "rewards are directed to an account",
    async ({ page, open, node }) => {
      await open("mining");
      await page.getByText(/^sn1q/).first().waitFor();
      await page.getByLabel("Account for a new address").selectOption("treasury");
      const wanted = page.getByLabel("Pay to another");
      const address = await until(
        "a new address",
        async () => /^sn1q/.test(await wanted.inputValue()) && wanted.inputValue(),
      );
      await page.getByRole("button", { name: "Change address" }).click();
      await page.getByText("Rewards go to the new address from the next block on").waitFor();
      assert.deepEqual(await node.ask("get-mining-address"), { mining_address: address });
    },
  ],

  [
    "mining is switched on, and the height moves",
    async ({ page, open, node }) => {
      await open("mining");
      await page.getByText(/^sn1q/).first().waitFor();
      await page.getByRole("button", { name: "Switch mining on" }).click();
      await page.getByText("Mining is on").waitFor();
      await page.getByRole("button", { name: "Switch mining off" }).waitFor();
      const before = Number(await page.locator("#height").textContent());
      await until(
        "the height in the bar to move",
        async () => Number(await page.locator("#height").textContent()) > before,
      );
      assert.equal((await node.ask("is-mining")).is_mining, true);
      await open();
      await page.getByText("Making blocks").waitFor();
    },
  ],
];
