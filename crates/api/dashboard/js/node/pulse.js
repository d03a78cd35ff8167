// What the whole page knows about the node, kept up to date: by the WebSocket at once, by asking now and then.
// The asking never stops, so a feed that dies unnoticed costs seconds, not the truth.

import { signal } from "../base/signal.js";
import { call, isUnknown, optional, probe } from "./call.js";
import { forget } from "./chain.js";
import { closeFeed, feed, keepFeed, onFeed } from "./feed.js";
import { headerFrom } from "./header.js";
import { refusal, token } from "./session.js";

const CALM_MS = 5000; // while the feed tells of blocks
const BUSY_MS = 2000; // while it does not
const SLOWEST_RETRY_MS = 10_000;
const SOON_MS = 150;

/** { state: "connecting" | "up" | "down" | "locked", since, failure?, retryAt? } */
export const link = signal({ state: "connecting", since: Date.now() });
/** { height, hash, time (ms, by the node's clock) }; a new object for each new block. */
export const tip = signal(null);
/** The answers of net-info, chain-status and wallet-info; wallet is false on a node without one. */
export const net = signal(null);
export const chain = signal(null);
export const wallet = signal(null);
/** What /readyz says: { ready, phase, troubles, halted_at }; null where there is no such thing. */
export const health = signal(null);
/** What get-upgrade-plan says; null where there is no such thing. */
export const upgrades = signal(null);
/** { total, ids } of the pool. */
export const pool = signal(null);

let timer = null;
let beating = false;
let again = false;
let retry = 0;

export function start() {
  onFeed({
    block: (raw) => {
      const header = headerFrom(raw);
      if (header && header.height > (tip.value?.height ?? -1))
        tip.set({ height: header.height, hash: null, time: header.time });
      soon();
    },
    undone: () => {
      forget();
      soon();
    },
    transaction: soon,
  });
  refusal.subscribe((failure) => failure && stopLocked(failure));
  token.subscribe(() => {
    closeFeed();
    hurry();
  });
  link.subscribe(({ state }) => state !== "up" && closeFeed());
  document.addEventListener("visibilitychange", () => document.hidden || hurry());
  beat();
}

/** Asks again now: after an action that changed something, or because the operator asked. */
export function hurry() {
  retry = 0;
  plan(0);
}

function soon() {
  plan(SOON_MS);
}

function plan(ms) {
  clearTimeout(timer);
  timer = setTimeout(beat, ms);
}

async function beat() {
  if (beating) {
    again = true;
    return;
  }
  beating = true;
  again = false;
  try {
    await ask();
    retry = 0;
    keepFeed();
    if (link.value.state !== "up") link.set({ state: "up", since: Date.now() });
    plan(again ? SOON_MS : feed.value === "live" ? CALM_MS : BUSY_MS);
  } catch (failure) {
    missed(failure);
  } finally {
    beating = false;
  }
}

async function ask() {
  const [netInfo, status, ready, plan, progress, unconfirmed] = await Promise.all([
    call("net-info"),
    chainStatus(),
    probe("readyz"),
    optional("get-upgrade-plan"),
    optional("wallet-info"),
    optional("list-unconfirmed-transactions"),
  ]);
  if (status.current_hash !== tip.value?.hash) await learnTip(status);
  set(net, netInfo);
  set(chain, status);
  set(health, ready);
  set(upgrades, plan);
  set(wallet, progress ?? false);
  set(pool, { total: Number(unconfirmed?.total ?? 0), ids: unconfirmed?.tx_ids ?? [] });
}

// A block that came by the feed while we were asking is newer than the answer.
async function learnTip({ current_height: height, current_hash: hash }) {
  const known = tip.value;
  if (known && known.height > height && known.hash === null) return;
  if (known?.height === height && known.hash === null) return tip.set({ ...known, hash });
  if (known && known.height >= height) forget();
  const { block_header: raw } = await call("get-block-header", { block_height: height });
  tip.set({ height, hash, time: headerFrom(raw)?.time ?? null });
}

async function chainStatus() {
  try {
    return await call("chain-status");
  } catch (failure) {
    if (failure.kind !== "refused" || !isUnknown(failure)) throw failure;
    const { block_count: height } = await call("get-block-count");
    return { current_height: height, current_hash: null };
  }
}

function missed(failure) {
  if (failure.kind === "locked") return; // the refusal has been announced
  if (failure.name !== "Failure") console.error(failure);
  const wait = Math.min(SLOWEST_RETRY_MS, 1000 * 2 ** retry);
  retry += 1;
  const since = link.value.state === "down" ? link.value.since : Date.now();
  link.set({ state: "down", since, failure, retryAt: Date.now() + wait });
  plan(wait);
}

function stopLocked(failure) {
  clearTimeout(timer);
  link.set({ state: "locked", since: Date.now(), failure });
}

// A signal tells only what has changed.
function set(target, value) {
  if (JSON.stringify(value, big) !== JSON.stringify(target.value, big)) target.set(value);
}

const big = (_, value) => (typeof value === "bigint" ? value.toString() : value);
