// What a node may say that this one does not: its answers are put in its mouth.

import assert from "node:assert/strict";

const HOSTILE = '<img src=x onerror="window.broken = true"><b>moniker</b>';
const PEER = {
  peer_id: "ab".repeat(32),
  moniker: HOSTILE,
  remote_addr: "192.0.2.7:46657",
  height: 900,
  ping: "12ms",
  duration: "3m2s",
  total_sent: 2048,
  total_received: 4096,
  average_sent_rate: 1,
  average_received_rate: 1,
  current_sent_rate: 43,
  current_received_rate: 39,
};

/** Answers an endpoint with a text until the returned function is called. */
async function say(page, endpoint, data, envelope = (text) => `{"status":"success","data":${text}}`) {
  const where = new RegExp(`/${endpoint}$`);
  const answer = (route) => route.fulfill({ contentType: "application/json", body: envelope(data) });
  await page.route(where, answer);
  return () => page.unroute(where, answer);
}

export const SAID = [
  [
    "what a peer calls itself is text, never markup",
    async (world) => {
      const { page, open } = world;
      const end = await say(page, "list-peers", JSON.stringify([PEER]));
      await open("peers");
      await page.getByText(HOSTILE).waitFor();
      assert.equal(await page.evaluate(() => window.broken), undefined);
      assert.equal(await page.locator("main img").count(), 0);
      await world.shoot("peers");
      await page.getByRole("button", { name: "Disconnect" }).click();
      await page.getByText(/may connect again/).waitFor();
      await page.keyboard.press("Escape");
      await end();
    },
  ],

  [
    "an address that is none is refused before the node is asked",
    async ({ page, open }) => {
      await open("peers");
      await page.getByRole("button", { name: "Connect a peer" }).click();
      await page.getByLabel("Address", { exact: true }).fill("example.org");
      await page.getByRole("button", { name: "Connect", exact: true }).click();
      await page.getByText(/An IP address and a port/).waitFor();
      await page.keyboard.press("Escape");
    },
  ],

  [
    "amounts beyond 2^53 are shown to the last unit",
    async ({ page, open, node }) => {
      const [{ id }] = await node.ask("list-accounts");
      const balance = `[{"account_id":"${id}","account_alias":"x","asset_alias":"BTM","asset_id":"${"f".repeat(64)}","amount":9223372036854775807}]`;
      const end = await say(page, "list-balances", balance);
      await open(`account/${id}`);
      await page.locator("main .money", { hasText: "92233720368.54775807" }).waitFor();
      await end();
    },
  ],

  [
    "a planned upgrade and a halt for it are told",
    async (world) => {
      const { page, open } = world;
      const plan = (height, waits) =>
        JSON.stringify({
          height,
          plan: { name: "v2-night", height: 1000, info: "" },
          waits_for_upgrade: waits,
          sequence: 1,
          quorum: 1,
          federation: ["cd".repeat(64)],
          member: 0,
        });
      const planned = await say(page, "get-upgrade-plan", plan(900, false));
      await open("upgrade");
      await page.reload();
      await page.getByText("99 blocks").waitFor();
      await page.getByText("1 of 1 decide").waitFor();
      await world.shoot("upgrade", { fullPage: true });
      const halted = await say(page, "get-upgrade-plan", plan(999, true));
      await planned();
      await open();
      await page.getByText("Stopped for the upgrade “v2-night”").waitFor();
      await world.shoot("halted");
      await halted();
      await page.getByText("Stopped for the upgrade").waitFor({ state: "detached" });
    },
  ],

  [
    "an answer that is not a node's is told as such",
    async ({ page, open }) => {
      const end = await say(page, "list-keys", "<html>502 Bad Gateway</html>", (text) => text);
      await open("keys");
      await page.getByText("Not an answer of a node (HTTP 200)").waitFor();
      await page.getByText(/the proxy in front of it/).waitFor();
      await end();
      await page.getByRole("button", { name: "Try again" }).click();
      await page.getByRole("row", { name: /operator/ }).waitFor();
    },
  ],
];
