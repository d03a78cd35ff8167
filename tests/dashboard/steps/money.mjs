// A reward ripens, is sent, is confirmed; all amounts exact.

import assert from "node:assert/strict";
import { PATIENCE, until } from "../until.mjs";
import { PASSWORD } from "./wallet.mjs";

// the rewards of 100 blocks are paid by the one after them
const EPOCH = Math.max(PATIENCE, 300_000);
const BTM = "f".repeat(64);
const plain = async (locator) => (await locator.textContent()).replace(/\s/g, "");

/** What the account holds, in neu, by the API. */
async function held(node, alias) {
  const balances = (await node.ask("list-balances")) ?? [];
  return balances.find((balance) => balance.account_alias === alias && balance.asset_id === BTM)?.amount ?? 0;
}

export const MONEY = [
  [
    "rewards arrive and ripen",
    async ({ page, open, node }) => {
      await open("accounts");
      await until(
        "a balance on the page",
        async () => Number(await plain(page.getByRole("row", { name: /treasury/ }).locator(".money"))) > 0,
        EPOCH,
      );
      await until("an output that can be spent", async () => {
        const [outputs, { block_count: height }] = await Promise.all([
          node.ask("list-unspent-outputs"),
          node.ask("get-block-count"),
        ]);
        return (outputs ?? []).some(({ amount, valid_height: from }) => amount > 200_000_000 && from <= height);
      });
      await open("outputs");
      await page.locator("main tbody .state.ok", { hasText: "now" }).first().waitFor();
    },
  ],

  [
    "wrong entries are refused before anything is sent",
    async ({ page, open }) => {
      await open("send");
      const build = page.getByRole("button", { name: "Build transaction" });
      await page.getByLabel("From account").selectOption("treasury");
      await page.getByText(/^Holds [1-9]/).waitFor();
      await build.click();
      await page.getByText("An amount", { exact: true }).waitFor();
      await page.getByLabel("Amount").fill("1.123456789");
      await build.click();
      await page.getByText("Too fine: this asset has 8 decimals").waitFor();
      await page.getByLabel("Amount").fill("1");
      await page.getByLabel("To address").fill("nowhere");
      await build.click();
      await page.getByText(/^Not an address/).waitFor();
    },
  ],

  [
    "more than there is is refused by the node, with advice",
    async ({ page, payroll }) => {
      await page.getByLabel("To address").fill(payroll);
      await page.getByLabel("Amount").fill("92233720000");
      await page.getByRole("button", { name: "Build transaction" }).click();
      const alert = page.locator("main .problem");
      await alert.getByText("BTM700").waitFor();
      await alert.getByText(/does not hold that much/).waitFor();
      await alert.getByText("POST /build-transaction").waitFor();
    },
  ],

  [
    "a transfer is built and told in plain words",
    async (world) => {
      const { page } = world;
      await page.getByLabel("Amount").fill("1.00000001");
      await page.getByRole("button", { name: "Build transaction" }).click();
      const story = page.locator(".story");
      await story.waitFor();
      assert.match(await plain(story), /Pays1\.00000001BTMtosn1q/);
      assert.match(await plain(story), /Costs0\.20000000BTMfee/);
      await page.getByText("enough").waitFor();
      await page.getByText("0 of 1").waitFor();
      await world.shoot("review", { fullPage: true });
    },
  ],

  [
    "the fee is lowered to what is needed",
    async ({ page }) => {
      await page.getByRole("button", { name: /change to 0\.0/ }).click();
      await page.getByText("Built again with the other fee").waitFor();
      assert.match(await plain(page.locator(".story")), /Pays1\.00000001BTM.*Costs0\.0\d{7}BTM/);
      await page.getByText("enough").waitFor();
    },
  ],

  [
    "it is signed: not with a wrong password",
    async ({ page }) => {
      const secret = page.getByLabel("Password of operator");
      await secret.fill("wrong");
      await page.getByRole("button", { name: "Sign", exact: true }).click();
      await page.getByText("That is not the key’s password").waitFor();
      await secret.fill(PASSWORD);
      await page.getByRole("button", { name: "Sign", exact: true }).click();
      await page.getByText("1 of 1").waitFor();
    },
  ],

  [
    "it is submitted, and seen in a block",
    async (world) => {
      const { page, node } = world;
      const before = await held(node, "payroll");
      await page.getByRole("button", { name: "Submit transaction" }).click();
      await page.getByText("Accepted by the node").waitFor();
      const link = page.locator("main a.hash").first();
      world.sent = (await link.getAttribute("href")).match(/[0-9a-f]{64}/)[0];
      await page.locator("main .steps a", { hasText: /^\d+$/ }).waitFor({ timeout: 60_000 });
      await world.shoot("confirmed");
      await until("the payment on the account", async () => (await held(node, "payroll")) === before + 100_000_001);
    },
  ],

  [
    "the transaction has its page, with the same amounts",
    async ({ page, open, sent }) => {
      await open(`tx/${sent}`);
      await page.getByText("in a block").waitFor();
      await until("the amount among the outputs", async () =>
        (await page.locator(".entry-line .money").allTextContents()).some((text) => text.startsWith("1.00000001 ")),
      );
    },
  ],

  [
    "the balance on the page is the one of the node",
    async ({ page, open, node }) => {
      await open("accounts");
      const cell = page.getByRole("row", { name: /payroll/ }).locator(".money");
      await until("the balance on the page", async () => {
        const digits = String(await held(node, "payroll")).padStart(9, "0");
        return (await plain(cell)) === `${digits.slice(0, -8)}.${digits.slice(-8)}`;
      });
      await open("history");
      await page.locator("main .gain").first().waitFor();
    },
  ],

  [
    "a template passes from hand to hand",
    async ({ page, open, payroll }) => {
      await open("send?mode=actions");
      await page.getByLabel("Account", { exact: true }).selectOption("treasury");
      await page.getByLabel("Amount").first().fill("2.2");
      await page.getByLabel("Amount").last().fill("2");
      await page.getByRole("textbox", { name: "Address" }).fill(payroll);
      await page.getByRole("button", { name: "Build transaction" }).click();
      await page.getByText("Template, to pass on to another signer").click();
      const template = await page.locator("details[open] pre").textContent();
      await open("send?mode=paste");
      await page.getByLabel("Template or raw transaction").fill("{ nonsense");
      await page.getByRole("button", { name: "Inspect" }).click();
      await page.getByText(/^Neither JSON nor hexadecimal/).waitFor();
      await page.getByLabel("Template or raw transaction").fill(template);
      await page.getByRole("button", { name: "Inspect" }).click();
      await page.getByText("0 of 1").waitFor();
      await page.getByLabel("Password of operator").fill(PASSWORD);
      await page.getByRole("button", { name: "Sign", exact: true }).click();
      await page.getByRole("button", { name: "Submit transaction" }).waitFor();
      await page.getByRole("button", { name: "Discard" }).click();
      await page.getByText("Discarded; nothing was sent").waitFor();
    },
  ],

  [
    "a message is signed and verified",
    async ({ page, open, payroll }) => {
      await open("tools");
      await page.getByLabel("Address of this wallet").fill(payroll);
      await page.getByLabel("Message").first().fill("hello “night”");
      await page.getByLabel("Password of its key").fill(PASSWORD);
      await page.getByRole("button", { name: "Sign", exact: true }).click();
      const [signature, key] = await Promise.all(
        [0, 1].map((index) => page.locator("main .outcome .hash").nth(index).getAttribute("title")),
      );
      const form = page.locator("section", { hasText: "Verify a message" }).last();
      await form.getByRole("textbox", { name: "Address" }).fill(payroll);
      await form.getByLabel("Message").fill("hello “night”");
      await form.getByLabel("Signature").fill(signature);
      await form.getByLabel("Public key").fill(key);
      await form.getByRole("button", { name: "Verify" }).click();
      await page.getByText("It holds").waitFor();
      await form.getByLabel("Message").fill("hello “day”");
      await form.getByRole("button", { name: "Verify" }).click();
      await page.getByText("It does not hold").waitFor();
    },
  ],

  [
    "an asset is made, and issued with a link",
    async ({ page, open }) => {
      await open("assets");
      await page.getByRole("button", { name: "New asset" }).click();
      await page.getByLabel("Alias").fill("gold");
      await page.getByLabel("Decimals").fill("2");
      await page.getByRole("button", { name: "Create asset" }).click();
      const row = page.getByRole("row", { name: /GOLD/ });
      await row.getByRole("link", { name: "Issue" }).click();
      await page.getByText("Issue an asset").first().waitFor();
      assert.match(await plain(page.getByLabel("Asset", { exact: true }).first()), /GOLD/);
    },
  ],
];
