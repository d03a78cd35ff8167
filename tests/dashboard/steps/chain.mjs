// Blocks, live; a block, a transaction, the search.

import assert from "node:assert/strict";
import { until } from "../until.mjs";

const firstHeight = async (page) =>
  Number(await page.locator("main tbody tr").first().locator("td").first().textContent());

export const CHAIN = [
  [
    "the list of blocks moves by the feed, without being loaded again",
    async ({ page, open }) => {
      await open("blocks");
      await page.getByRole("table", { name: "Blocks" }).waitFor();
      await page.evaluate(() => (window.notLoadedAgain = true));
      await page.locator("#feed", { hasText: "live" }).waitFor();
      const before = await firstHeight(page);
      await until("two more blocks in the list", async () => (await firstHeight(page)) >= before + 2);
      assert.equal(await page.evaluate(() => window.notLoadedAgain), true);
      const heights = await page.locator("main tbody tr td:first-child").allTextContents();
      heights
        .slice(1)
        .forEach((height, index) =>
          assert.equal(Number(height), Number(heights[index]) - 1, "each block is below the one above it"),
        );
    },
  ],

  [
    "without the feed the page goes on by asking",
    async ({ page: first, node }) => {
      const page = await first.context().newPage();
      await page.routeWebSocket(/websocket-subscribe/, (socket) => socket.close());
      await page.goto(`${node.url}dashboard/`);
      await page.locator("#feed", { hasText: "polling" }).waitFor();
      const { block_count: before } = await node.ask("get-block-count");
      await until("the height to move", async () => Number(await page.locator("#height").textContent()) > before + 1);
      assert.equal(await page.locator("#feed").textContent(), "polling");
      await page.close();
    },
  ],

  [
    "a block is told as the node tells it, raw too",
    async (world) => {
      const { page, open, node } = world;
      const block = await node.ask("get-block", { block_height: 1 });
      const { raw_block: raw } = await node.ask("get-raw-block", { block_height: 1 });
      await open("block/1");
      await page.locator("main .facts .hash", { hasText: block.hash }).first().waitFor();
      assert.ok(await page.getByText("coinbase").first().isVisible());
      await page.getByRole("link", { name: "Raw", exact: true }).click();
      await page.locator("main pre").waitFor();
      assert.equal((await page.locator("main pre").textContent()).slice(0, 20_000), raw.slice(0, 20_000));
      world.coinbase = block.transactions[0].id;
    },
  ],

  [
    "a height, a hash, an address and an account are found",
    async ({ page, open, node, payroll }) => {
      await open();
      const find = async (text) => {
        await page.keyboard.press("/");
        await page.keyboard.type(text);
        await page.keyboard.press("Enter");
      };
      await find("2");
      await page.getByRole("heading", { name: "Block 2" }).waitFor();
      const { block_hash: hash } = await node.ask("get-block-hash");
      await find(hash);
      await page.locator("main .facts .hash", { hasText: hash }).first().waitFor();
      await find(payroll);
      await page.getByText("this node’s wallet").waitFor();
      await find("treasury");
      await page.getByRole("heading", { name: "treasury" }).waitFor();
      await find("ab".repeat(32));
      await page.getByText("Nothing found").waitFor();
    },
  ],

  [
    "a block that is not there is an error with advice",
    async ({ page, open }) => {
      await open("block/99999999");
      const alert = page.locator("main .problem");
      await alert.getByText("BTM000").waitFor();
      await alert.getByText("The chain has no such block (yet)").waitFor();
      await alert.getByRole("button", { name: "Try again" }).waitFor();
    },
  ],
];
