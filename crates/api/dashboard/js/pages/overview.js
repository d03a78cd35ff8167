// The first page: how is the node, in one sentence, then the numbers behind it.

import { h, put } from "../base/dom.js";
import { stringify } from "../base/json.js";
import { known } from "../base/signal.js";
import { seconds } from "../base/format.js";
import { now } from "../node/call.js";
import { gaps, linesBelow, median } from "../node/chain.js";
import { chain, health, link, net, pool, tip, upgrades, wallet } from "../node/pulse.js";
import { upgradeFrom } from "../node/upgrade.js";
import { verdict } from "../node/verdict.js";
import { to } from "../shell/router.js";
import { blockTable } from "../ui/blocktable.js";
import { gapChart } from "../ui/gaps.js";
import { bareSheet, section } from "../ui/layout.js";
import { pane } from "../ui/pane.js";
import { facts } from "../ui/table.js";
import { ago, hash, state } from "../ui/value.js";

const SHOWN = 12;
const CHARTED = 41;

export function page(scope) {
  const sentence = h("div.verdict", { role: "status" });
  const vitals = h("dl.vitals");
  const node = h("div");
  const latest = blockTable({ caption: "Latest blocks" });
  const chart = gapChart();
  let interval = null;
  let said = null;

  const blocks = pane(
    scope,
    async (signal) => linesBelow((await known(tip)).height, CHARTED, { signal }),
    () => ({
      element: latest.element,
      update(lines) {
        interval = median(gaps(lines));
        latest.update(lines, SHOWN);
        chart.update(lines);
        tell();
      },
    }),
    { on: [tip] },
  );

  function judge() {
    const found = verdict({
      link: link.value,
      net: net.value,
      tip: tip.value,
      wallet: wallet.value,
      health: health.value,
      interval,
      now: now(),
      upgrade: upgrade(),
    });
    // said again only when it changes: screen readers would repeat it each second
    if (stringify(found) === said) return;
    said = stringify(found);
    put(sentence, sentenceOf(found));
  }
  function tell() {
    judge();
    put(vitals, vitalsOf(interval));
    put(node, nodeFacts(upgrade()));
  }
  for (const source of [link, net, chain, health, upgrades, tip, wallet, pool]) scope.after(source, tell);
  scope.every(1000, judge);
  tell();

  return bareSheet(
    "Overview",
    sentence,
    vitals,
    h(
      "div.columns",
      section("Latest blocks", { acts: h("a", { href: to("blocks") }, "All blocks") }, blocks),
      h("div.stack", section("Time between blocks", { flush: false }, chart.element), section("Node", {}, node)),
    ),
  );
}

function sentenceOf({ level, title, detail, remedy }) {
  return [
    h("p.verdict-title", state(level, title)),
    h("p.verdict-detail", detail, remedy && h("span.verdict-remedy", ` ${remedy}`)),
  ];
}

function vitalsOf(interval) {
  const info = net.value;
  const status = chain.value;
  if (!info || !status) return [];
  const final = status.finalized_height;
  return [
    vital(
      "Height",
      String(tip.value?.height ?? status.current_height),
      info.highest_height > (tip.value?.height ?? 0) && `network ${info.highest_height}`,
    ),
    vital(
      "Last block",
      tip.value?.height > 0 && tip.value.time ? ago(tip.value.time) : "–",
      tip.value?.height > 0 && "ago",
    ),
    vital("Block interval", interval === null ? "–" : seconds(interval), "median of the latest"),
    final !== undefined &&
      vital("Final", String(final), status.justified_height > final && `justified ${status.justified_height}`),
    vital("Peers", String(info.peer_count), info.listening ? "listening" : "not listening"),
    vital("Pool", String(pool.value?.total ?? "–"), "unconfirmed"),
    vital("Mining", state(info.mining ? "ok" : "idle", info.mining ? "on" : "off")),
    wallet.value &&
      vital(
        "Wallet",
        String(wallet.value.wallet_height),
        wallet.value.wallet_height >= wallet.value.best_block_height
          ? "up to date"
          : `of ${wallet.value.best_block_height}`,
      ),
  ];
}

function healthOf({ ready, phase, troubles }) {
  if (troubles?.length) return troubles.map((trouble) => h("div", state("bad", trouble)));
  return state(ready ? "ok" : "warn", ready ? "ready" : `${phase ?? "not ready"}`);
}

const upgrade = () => upgradeFrom(upgrades.value, health.value);

const vital = (name, value, note) =>
  h("div", h("dt", name), h("dd", h("span.vital-value", value), note && h("span.vital-note", note)));

function nodeFacts(plan) {
  const info = net.value;
  if (!info) return null;
  const { version, update, new_version: newer } = info.version_info ?? {};
  return facts([
    ["Network", info.network_id],
    ["Version", version ?? "–", Boolean(update) && newer !== version && ` (${newer} is out)`],
    ["Syncing", state(info.syncing ? "warn" : "ok", info.syncing ? "catching up" : "in step")],
    ["Node key", hash(info.node_xpub, { what: "the node’s public key" })],
    chain.value?.current_hash && [
      "Tip",
      hash(chain.value.current_hash, { href: to("block", chain.value.current_hash) }),
    ],
    wallet.value === false && ["Wallet", "off"],
    health.value && ["Health", healthOf(health.value)],
    plan && ["Upgrade", h("a", { href: to("upgrade") }, plan.name ?? "unnamed"), ` at height ${plan.height}`],
  ]);
}
