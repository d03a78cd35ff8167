// The names of things: accounts, assets and keys of this node's wallet, and which addresses are its own.

import { BTM, decimalsOf } from "../base/amount.js";
import { signal } from "../base/signal.js";
import { call } from "./call.js";

/** { accounts, assets, keys, names, failure }; failure is set where the wallet could not be asked. */
export const book = signal({ accounts: [], assets: [], keys: [], names: new Map(), failure: null, ready: false });

let asking = null;
const own = new Map();

/** Asks for all of it again: at the start, and after anything was created, renamed or deleted. */
export function refreshBook() {
  asking ??= ask().finally(() => (asking = null));
  return asking;
}

async function ask() {
  try {
    const [accounts, assets, keys] = await Promise.all(
      ["list-accounts", "list-assets", "list-keys"].map((list) => call(list)),
    );
    const names = new Map((assets ?? []).map((asset) => [asset.id, asset]));
    book.set({ accounts: accounts ?? [], assets: assets ?? [], keys: keys ?? [], names, failure: null, ready: true });
  } catch (failure) {
    book.set({ ...book.value, failure, ready: true });
  }
}

/** { id, alias, decimals } of an asset, whether the wallet knows it or not. */
export function assetOf(id) {
  const known = book.value.names.get(id);
  if (id === BTM) return { id, alias: "BTM", decimals: 8 };
  return { id, alias: known?.alias && known.alias !== id ? known.alias : null, decimals: decimalsOf(known) };
}

/** What an account is called: it may have no alias. */
export const accountName = ({ alias, id }) => alias || id;

/** [id, name] of each account, for a select. */
export const accountChoices = () => book.value.accounts.map((account) => [account.id, accountName(account)]);

export const keyOf = (xpub) => book.value.keys.find((key) => key.xpub === xpub) ?? null;

/** Whether an address is this wallet's. Asked once per address. */
export function isOwn(address) {
  if (!own.has(address)) {
    const answer = call("validate-address", { address })
      .then((found) => Boolean(found?.is_local))
      .catch(() => (own.delete(address), false));
    own.set(address, answer);
  }
  return own.get(address);
}
