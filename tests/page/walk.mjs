// The walk: steps in order, each on what the ones before it left. It ends at the first that fails.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBrowser } from "../dashboard/browser.mjs";
import { STEPS } from "./steps.mjs";
import { Supervised } from "./supervised.mjs";

const dir = mkdtempSync(join(tmpdir(), "page-"));
const shots = process.env.SHOTS ?? mkdtempSync(join(tmpdir(), "page-shots-"));
mkdirSync(shots, { recursive: true });
const supervised = new Supervised(process.env.BATON, join(dir, "home"));
let passed = 0;
let failed = 0;
let world = null;

try {
  supervised.init(30, "500ms");
  await supervised.start();
  world = { supervised, ...(await openBrowser()) };
  world.shoot = (name) => world.page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  for (const [name, walk] of STEPS) {
    const began = performance.now();
    await walk(world).catch((failure) => {
      throw Object.assign(failure, { step: name });
    });
    passed += 1;
    console.log(`ok      ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  }
} catch (failure) {
  failed += 1;
  console.log(`FAILED  ${failure.step ?? "the test itself"}\n${String(failure.stack).replace(/^/gm, "        ")}`);
  for (const fault of world?.faults ?? []) console.log(`        ${fault}`);
  await world?.shoot("failed").catch(() => {});
  console.log(`        the supervisor said last: ${supervised.said.slice(-1500)}`);
} finally {
  await world?.browser.close();
  await supervised.stop();
  rmSync(dir, { recursive: true, force: true });
}
console.log(`screenshots: ${shots}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
