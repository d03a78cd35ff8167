import assert from "node:assert/strict";
import test from "node:test";
import { verdict } from "../../../crates/api/dashboard/js/node/verdict.js";
import { upgradeFrom } from "../../../crates/api/dashboard/js/node/upgrade.js";

const NOW = 1_800_000_000_000;
const WELL = {
  link: { state: "up" },
  net: { syncing: false, mining: true, peer_count: 0, highest_height: 100, network_id: "solonet" },
  tip: { height: 100, time: NOW - 4000 },
  wallet: { wallet_height: 100, best_block_height: 100 },
  health: null,
  interval: 6000,
  now: NOW,
  upgrade: null,
};
const told = (changes) => verdict({ ...WELL, ...changes });

test("all is well", () => {
  assert.equal(told({}).level, "ok");
  assert.match(told({}).title, /Making blocks/);
  assert.match(told({ net: { ...WELL.net, mining: false, peer_count: 2 } }).title, /Following/);
  assert.match(
    told({ upgrade: { name: "v2", height: 500, halted: false, toGo: 399 } }).detail,
    /“v2” comes in 399 blocks, at height 500/,
  );
});

test("no answer is worse than anything that was known before", () => {
  const found = told({
    link: { state: "down", failure: { msg: "No answer from the node", advice: "Check it" } },
    upgrade: { name: "v2", halted: true },
  });
  assert.deepEqual([found.level, found.remedy], ["bad", "Check it"]);
});

test("the first answer is waited for", () =>
  assert.equal(told({ link: { state: "connecting" }, net: null, tip: null }).level, "idle"));

test("a halt for an upgrade is named, and is no missing block", () => {
  const found = told({
    upgrade: { name: "v2", height: 101, halted: true },
    tip: { height: 100, time: NOW - 3_600_000 },
  });
  assert.equal(found.level, "bad");
  assert.match(found.title, /upgrade “v2”/);
  assert.match(told({ upgrade: { name: null, height: 101, halted: true } }).title, /Stopped for an upgrade/);
});

test("troubles and phases of the node come before our own conclusions", () => {
  assert.match(told({ health: { phase: "serving", troubles: ["the disk is full"] } }).detail, /the disk is full/);
  assert.match(told({ health: { phase: "stopping", troubles: [] } }).title, /stopping/);
});

test("blocks are missed after six intervals, but not before half a minute", () => {
  assert.equal(told({ tip: { height: 100, time: NOW - 35_999 } }).level, "ok");
  assert.match(told({ tip: { height: 100, time: NOW - 36_001 } }).title, /No block for 36 s/);
  assert.equal(told({ interval: 1000, tip: { height: 100, time: NOW - 29_000 } }).level, "ok");
  assert.equal(told({ interval: null, tip: { height: 100, time: NOW - 40_000 } }).level, "bad");
});

test("a lone node that does not mine is idle, not broken", () => {
  const found = told({ net: { ...WELL.net, mining: false }, tip: { height: 100, time: NOW - 600_000 } });
  assert.equal(found.level, "idle");
  assert.match(found.remedy, /mining on/);
  assert.match(told({ net: { ...WELL.net, mining: false }, tip: { height: 0, time: 1 } }).detail, /genesis only/);
  assert.equal(told({ tip: { height: 0, time: 1 } }).title, "Waiting for the first block");
});

test("syncing, a slow wallet and solitude are told", () => {
  assert.match(told({ net: { ...WELL.net, syncing: true, highest_height: 400 } }).detail, /300 blocks to go/);
  assert.match(told({ wallet: { wallet_height: 40, best_block_height: 100 } }).detail, /40 of 100/);
  assert.equal(told({ wallet: false }).level, "ok");
  assert.match(told({ net: { ...WELL.net, mining: false, network_id: "mainnet" } }).title, /No peers/);
});

test("an upgrade is read from whatever the node tells of it", () => {
  assert.equal(upgradeFrom(null, null), null);
  assert.equal(upgradeFrom({ height: 5, plan: null, waits_for_upgrade: false }, { halted_at: undefined }), null);
  const told = { height: 5, plan: { name: "v2", height: 9, info: "" }, waits_for_upgrade: false };
  assert.deepEqual(upgradeFrom(told, null), { name: "v2", height: 9, info: null, halted: false, toGo: 3 });
  assert.deepEqual(upgradeFrom({ ...told, height: 8, waits_for_upgrade: true }, null), {
    name: "v2",
    height: 9,
    info: null,
    halted: true,
    toGo: 0,
  });
  assert.deepEqual(upgradeFrom(null, { halted_at: 9 }), { name: null, height: 9, info: null, halted: true, toGo: 0 });
});
