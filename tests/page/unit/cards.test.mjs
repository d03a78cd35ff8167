import assert from "node:assert/strict";
import { test } from "node:test";
import { cards, verdict } from "../../../crates/supervisor/page/cards.js";
import { Pace } from "../../../crates/supervisor/page/pace.js";

const NOW = Date.parse("2026-11-21T04:00:00Z");

function status(changes = {}) {
  return {
    supervisor: { pid: 1, version: "0.1.0", since: "2026-11-21T03:00:00Z", home: "/h", name: "simd", admin_address: null, config: {} },
    node: {
      state: "running", since: "2026-11-21T03:00:01Z", pid: 2, generation: 1, release: "genesis", binary: "/b", hands_over: false,
      leaving: [], height: 100, height_source: "rpc", height_at: "2026-11-21T03:59:58Z", block_time_ms: 6130, restarts: 0, last_exit: null,
    },
    plan: null, upgrade: null, standing: null, last_upgrade: null, last_change: null, backups: [], last_error: null,
    ...changes,
  };
}

const titles = (status) => cards(status, new Pace(), NOW).map((card) => card.title);
const rows = (status, title) => cards(status, new Pace(), NOW).find((card) => card.title === title).rows;

test("what is wrong comes first, with what to do", () => {
  const since = "2026-11-21T03:59:00Z";
  const standing = { name: "v2", height: 9, step: "fetch", error: "no binary", what_to_do: "put one in place", since };
  const last_error = { text: "the same", what_to_do: "", at: since };
  assert.equal(titles(status({ standing, last_error }))[0], "Upgrade failed, the old node answers on");
  assert.ok(!titles(status({ standing, last_error })).includes("Last error"), "it is told once");
  assert.deepEqual(rows(status({ standing }), "Upgrade failed, the old node answers on").at(-1), ["To do", "put one in place", "warn"]);
  assert.equal(verdict(status({ standing })), "bad");
});

test("a plan tells when, whether it is ready and whether there is room", () => {
  const plan = {
    name: "v3", height: 200, info: "", provenance: "node", waiting_for: "the chain is at height 100", blocks_to_go: 100,
    estimated_seconds: 613, fetched: true, verified: true, progress: null, disk: { needed: 2048, free: 1024 },
  };
  assert.deepEqual(rows(status({ plan }), "Plan"), [
    ["Upgrade", "v3 at height 200"],
    ["To go", "100 blocks, about 10 min 11 s (2026-11-21 04:10 UTC)"],
    ["Binary", "in place, checksum right", "good"],
    ["Disk", "NOT ENOUGH: 2.0 KiB needed, 1.0 KiB free", "bad"],
    ["Waiting", "the chain is at height 100", "quiet"],
  ]);
});

test("nothing known is no fault", () => {
  const node = { ...status().node, state: "not-started", since: null, pid: null, release: null, binary: null, height: null, height_at: null, block_time_ms: null };
  assert.deepEqual(titles(status({ node })), ["Node", "Plan", "Backups", "Supervisor"]);
  assert.equal(verdict(status({ node })), "warn");
});

test("an old height of a running node is worth a look", () => {
  const node = { ...status().node, height_at: "2026-11-21T03:50:00Z" };
  assert.deepEqual(rows(status({ node }), "Node").find(([key]) => key === "Height"), ["Height", "100 from rpc, 10 min 0 s ago", "warn"]);
});

test("block times are those between the readings", () => {
  const pace = new Pace();
  pace.see(null, null);
  pace.see(10, "2026-11-21T03:00:00Z");
  pace.see(10, "2026-11-21T03:00:01Z");
  pace.see(12, "2026-11-21T03:00:04Z");
  assert.deepEqual(pace.times, [2000]);
  pace.see(5, "2026-11-21T03:00:05Z");
  assert.deepEqual(pace.times, [], "other data");
  for (let height = 6; height < 500; height += 1) pace.see(height, new Date(NOW + height * 1000).toISOString());
  assert.equal(pace.times.length, 120);
});
