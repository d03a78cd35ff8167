// One sentence on how the node is, as an operator woken at night wants it: the worst thing first, and what to do.
// A pure function of the facts; the clock is one of them.

import { duration, plural } from "../base/format.js";

const PATIENCE = 6; // block intervals without a block before it is news
const LEAST_PATIENCE_MS = 30_000;
const WALLET_LAG = 3;

/**
 * @param facts { link, net, tip, wallet, interval (ms or null), now, upgrade, health }
 * @returns { level: "ok" | "idle" | "warn" | "bad", title, detail, remedy? }
 */
export function verdict(facts) {
  for (const judge of CASES) {
    const found = judge(facts);
    if (found) return found;
  }
  return well(facts);
}

const CASES = [unseen, halted, leaving, troubled, syncing, silent, walletBehind, alone];

function unseen({ link, net }) {
  if (link.state === "down") {
    return { level: "bad", title: "The node does not answer", detail: link.failure.msg, remedy: link.failure.advice };
  }
  return net ? null : { level: "idle", title: "Asking the node", detail: "The first answer is on its way." };
}

function halted({ upgrade }) {
  if (!upgrade?.halted) return null;
  return {
    level: "bad",
    title: upgrade.name ? `Stopped for the upgrade “${upgrade.name}”` : "Stopped for an upgrade",
    detail: `The chain waits at height ${upgrade.height}; this program cannot go past it. Reading still works.`,
    remedy:
      "Start the release that brings this upgrade. A supervisor (baton, cosmovisor) that has it does so by itself.",
  };
}

function leaving({ health }) {
  if (!health || (health.phase !== "starting" && health.phase !== "stopping")) return null;
  return health.phase === "starting"
    ? { level: "warn", title: "The node is starting", detail: "Its parts are being opened." }
    : { level: "warn", title: "The node is stopping", detail: "It finishes what it has begun and takes no new work." };
}

function troubled({ health }) {
  if (!health?.troubles?.length) return null;
  return {
    level: "bad",
    title: "The node reports trouble",
    detail: `${health.troubles.join(". ")}.`,
    remedy: "Its log says more.",
  };
}

function syncing({ net, tip }) {
  if (!net.syncing) return null;
  const behind = Math.max(0, net.highest_height - (tip?.height ?? 0));
  return {
    level: "warn",
    title: "Catching up with the network",
    detail: behind
      ? `${plural(behind, "block")} to go, up to height ${net.highest_height}.`
      : "A peer is ahead of this node.",
  };
}

function silent({ net, tip, interval, now }) {
  if (!tip?.time) return null;
  // the genesis was written long before the chain began
  const begun = tip.height > 0;
  const age = begun ? now - tip.time : Infinity;
  if (age < Math.max(LEAST_PATIENCE_MS, PATIENCE * (interval ?? 6000))) return null;
  if (!net.mining && net.peer_count === 0) {
    return {
      level: "idle",
      title: "No blocks are being made",
      detail: `Mining is off and no peer is connected. ${begun ? `The last block is ${duration(age)} old.` : "The chain has its genesis only."}`,
      remedy: "Switch mining on, or connect a peer.",
    };
  }
  if (!begun) return { level: "idle", title: "Waiting for the first block", detail: "The chain has its genesis only." };
  return {
    level: "bad",
    title: `No block for ${duration(age)}`,
    detail: interval ? `Blocks came every ${(interval / 1000).toFixed(1)} s before.` : "Blocks should keep coming.",
    remedy:
      net.peer_count === 0
        ? "No peer is connected: look at Peers and at the network."
        : "Compare the height with another node's; then look at the log.",
  };
}

function walletBehind({ wallet }) {
  if (!wallet || wallet.best_block_height - wallet.wallet_height < WALLET_LAG) return null;
  return {
    level: "warn",
    title: "The wallet is catching up with the chain",
    detail: `It has read ${wallet.wallet_height} of ${wallet.best_block_height} blocks. Balances and outputs are from there.`,
  };
}

function alone({ net }) {
  if (net.peer_count > 0 || net.network_id === "solonet" || net.mining) return null;
  return {
    level: "warn",
    title: "No peers",
    detail: "Blocks of others cannot arrive.",
    remedy: "Connect one at Peers.",
  };
}

function well({ net, upgrade }) {
  const coming = upgrade
    ? ` The upgrade “${upgrade.name}” comes in ${plural(upgrade.toGo, "block")}, at height ${upgrade.height}.`
    : "";
  return net.mining
    ? { level: "ok", title: "Making blocks", detail: `Mining is on and blocks arrive in time.${coming}` }
    : { level: "ok", title: "Following the chain", detail: `Blocks arrive in time.${coming}` };
}
