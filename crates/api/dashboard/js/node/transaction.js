// Transactions as the pages need them, from the different shapes in which the node tells of them.

import { BTM } from "../base/amount.js";
import { call } from "./call.js";
import { headerFrom } from "./header.js";

const UNCONFIRMED_BLOCK = "0".repeat(64);

/**
 * Looks where a transaction can be: the wallet or the index, the pool, the block that the address names.
 * { id, size, time_range?, inputs, outputs, place: { height, hash, time, index } | null when in the pool }
 */
export async function findTransaction(id, blockHeight, options) {
  const steps = [
    () => call("get-transaction", { tx_id: id }, options).then(fromIndex),
    () => call("get-unconfirmed-transaction", { tx_id: id }, options).then(fromPool),
    blockHeight !== null && (() => fromBlock(id, blockHeight, options)),
  ].filter(Boolean);
  let first = null;
  for (const step of steps) {
    try {
      const found = await step();
      if (found) return found;
    } catch (failure) {
      if (failure.kind !== "refused") throw failure;
      first ??= failure;
    }
  }
  throw first;
}

export function fromIndex(answer) {
  const inBlock = answer.block_hash && answer.block_hash !== UNCONFIRMED_BLOCK;
  return {
    ...answer,
    id: answer.tx_id ?? answer.id,
    place: inBlock
      ? { height: answer.block_height, hash: answer.block_hash, time: answer.block_time, index: answer.block_index }
      : null,
  };
}

const fromPool = (answer) => ({ ...answer, place: null });

async function fromBlock(id, height, options) {
  const block = await call("get-block", { block_height: height }, options);
  const index = block.transactions.findIndex((transaction) => transaction.id === id);
  if (index < 0) return null;
  return {
    ...block.transactions[index],
    place: { height: block.height, hash: block.hash, time: block.timestamp, index },
  };
}

/** What BTM goes in and does not come out; null where that is no fee (a coinbase) or cannot be known. */
export function feeOf({ inputs, outputs, fee }) {
  if (fee !== undefined && fee !== null) return BigInt(fee);
  if (!inputs?.length || inputs.some((input) => input.type === "coinbase")) return null;
  const difference = sumOf(inputs, BTM) - sumOf(outputs, BTM);
  return difference >= 0n ? difference : null;
}

const sumOf = (entries, asset) =>
  entries.filter((entry) => entry.asset_id === asset).reduce((sum, entry) => sum + BigInt(entry.amount ?? 0), 0n);

/** What kinds of thing it does, in words: ["coinbase"], ["transfer"], ["vote", "issue"]. */
export function kindsOf({ inputs, outputs }) {
  const kinds = new Set();
  for (const { type } of inputs ?? []) if (type !== "spend") kinds.add(type);
  for (const output of outputs ?? []) {
    if (output.type === "vote") kinds.add("vote");
    if (output.type === "retire") kinds.add(isRegistration(output) ? "contract" : "retire");
  }
  return kinds.size ? [...kinds] : ["transfer"];
}

// a program that registers a contract fails at once, then says "bcrp"
const isRegistration = ({ control_program: program }) => /^6a0462637270/.test(program ?? "");

/** What a transaction means to this wallet: Map of account alias → Map of asset id → BigInt, gains above zero. */
export function effectOf({ inputs, outputs }) {
  const effect = new Map();
  const add = (entry, sign) => {
    const account = entry.account_alias || entry.account_id;
    if (!account || !entry.asset_id) return;
    const sums = effect.get(account) ?? new Map();
    sums.set(entry.asset_id, (sums.get(entry.asset_id) ?? 0n) + sign * BigInt(entry.amount ?? 0));
    effect.set(account, sums);
  };
  for (const input of inputs ?? []) if (input.type !== "coinbase" && input.type !== "issue") add(input, -1n);
  for (const output of outputs ?? []) if (output.type !== "retire") add(output, 1n);
  return effect;
}

/** The time of a block of which only the height is known. */
export async function timeOf(height, options) {
  const { block_header: raw } = await call("get-block-header", { block_height: height }, options);
  return headerFrom(raw)?.time ?? null;
}
