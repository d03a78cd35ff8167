// The walk: steps in order, each on what the ones before it left. It ends at the first that fails.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBrowser } from "./browser.mjs";
import { Batond } from "./node.mjs";
import { ACCESS } from "./steps/access.mjs";
import { CHAIN } from "./steps/chain.mjs";
import { LOOKS } from "./steps/looks.mjs";
import { MONEY } from "./steps/money.mjs";
import { SAID } from "./steps/said.mjs";
import { WALLET } from "./steps/wallet.mjs";

const STOP = Symbol("stop");
const STEPS = [...WALLET, ...CHAIN, ...MONEY, ...SAID, ...LOOKS, ...ACCESS];

const home = mkdtempSync(join(tmpdir(), "dashboard-home-"));
const shots = process.env.SHOTS ?? mkdtempSync(join(tmpdir(), "dashboard-shots-"));
mkdirSync(shots, { recursive: true });
const node = new Batond(process.env.BATOND, join(home, "node"));
let passed = 0;
let failed = 0;
let world = null;

try {
  node.init();
  await node.start();
  world = { node, shots, ...(await openBrowser()) };
  world.open = (address = "") => world.page.goto(`${node.url}dashboard/#/${address}`);
  world.shoot = (name, options) => world.page.screenshot({ path: join(shots, `${name}.png`), ...options });
  for (const [name, walk] of [...STEPS, ["nothing went wrong unseen", nothingElse]])
    await step(name, () => walk(world));
} catch (failure) {
  if (failure !== STOP) complain("the test itself", failure);
} finally {
  await world?.browser.close();
  await node.stop().catch((failure) => complain("stopping the node", failure));
  rmSync(home, { recursive: true, force: true });
}
console.log(`screenshots: ${shots}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

async function step(name, walk) {
  const began = performance.now();
  try {
    await walk();
    passed += 1;
    console.log(`ok      ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  } catch (failure) {
    await world.shoot("failed", { fullPage: true }).catch(() => {});
    complain(name, failure);
    throw STOP;
  }
}

function complain(name, failure) {
  failed += 1;
  console.log(`FAILED  ${name}\n${String(failure?.stack ?? failure).replace(/^/gm, "        ")}`);
  for (const fault of world?.faults ?? []) console.log(`        ${fault}`);
  if (node.said) console.log(`        the node said last: ${node.said.slice(-1500)}`);
}

async function nothingElse({ faults, requests, node: { port } }) {
  if (faults.length) throw new Error(faults.join("\n"));
  const others = [...requests].filter((host) => host !== `127.0.0.1:${port}` && host !== "");
  if (others.length) throw new Error(`the page asked others: ${others}`);
}
