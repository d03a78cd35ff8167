// One account: what it holds, where it is paid to, what it did.

import { h } from "../base/dom.js";
import { accountName, book, refreshBook } from "../node/book.js";
import { call } from "../node/call.js";
import { wallet } from "../node/pulse.js";
import { go, to } from "../shell/router.js";
import { ask } from "../ui/confirm.js";
import { field, input, required, Wrong } from "../ui/form.js";
import { bareSheet, section, tabs } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { facts, table } from "../ui/table.js";
import { hash, money } from "../ui/value.js";
import { signers } from "./accounts.js";
import { addressList, newAddress } from "./addresses.js";
import { historyList } from "./history.js";
import { outputList } from "./outputs.js";
import { voteList } from "./votes.js";

const TABS = [
  ["", "Balances"],
  ["addresses", "Addresses"],
  ["outputs", "Unspent outputs"],
  ["history", "Transactions"],
  ["votes", "Votes"],
  ["keys", "Keys"],
];

export function page(scope, id, query) {
  const tab = query.get("tab") ?? "";
  const element = pane(
    scope,
    async (signal) => {
      const accounts = await call("list-accounts", {}, { signal });
      return accounts?.find((account) => account.id === id || account.alias === id) ?? null;
    },
    (account) =>
      account
        ? body(scope, account, tab)
        : empty("No such account", "It may have been deleted, or belong to another node."),
    { on: [book] },
  );
  return bareSheet("Account", element);
}

function body(scope, account, tab) {
  const views = {
    "": () => section("Balances", {}, balances(scope, account.id)),
    addresses: () =>
      section(
        "Addresses",
        { acts: h("button", { type: "button", onclick: () => newAddress(account.id) }, "New address") },
        addressList(scope, account.id),
      ),
    outputs: () => section("Unspent outputs", {}, outputList(scope, account.id)),
    history: () => section("Transactions", {}, historyList(scope, account.id)),
    votes: () => section("Votes", {}, voteList(scope, account.id)),
    keys: () =>
      section(
        "Keys",
        {},
        facts([
          ["Signatures needed", `${account.quorum} of ${account.xpubs.length}`],
          ["Keys", signers(account)],
          ["Id", hash(account.id, { what: "the account’s id" })],
        ]),
      ),
  };
  return h(
    "div.stack",
    h(
      "div.page-head",
      h("h2.account-name", h("span.faint", "Account "), accountName(account)),
      h("a.button.primary", { href: to("send", "", { account: account.id }) }, "Send"),
      h("button", { type: "button", onclick: () => newAddress(account.id) }, "New address"),
      h("button", { type: "button", onclick: () => rename(account) }, "Rename"),
      h("button", { type: "button", onclick: () => remove(account) }, "Delete"),
    ),
    tabs(
      "Views of the account",
      TABS.map(([name, words]) => [to("account", account.id, { tab: name }), words, name === tab]),
    ),
    (views[tab] ?? views[""])(),
  );
}

function balances(scope, id) {
  const list = table(
    [
      {
        head: "Asset",
        cell: ({ asset_alias: alias, asset_id: asset }) =>
          alias && alias !== asset ? alias : hash(asset, { what: "the asset’s id" }),
      },
      { head: "Amount", class: "num", cell: ({ amount, asset_id: asset }) => money(amount, asset, { unit: false }) },
      { head: "Id", class: "more wide", cell: ({ asset_id: asset }) => hash(asset, { what: "the asset’s id" }) },
    ],
    {
      caption: "Balances",
      key: ({ asset_id: asset }) => asset,
      none: empty("Nothing here yet", "Pay to one of its addresses, or mine to it."),
    },
  );
  return pane(
    scope,
    async (signal) =>
      ((await call("list-balances", { account_id: id }, { signal })) ?? []).filter(
        (balance) => balance.account_id === id,
      ),
    () => list,
    { on: [wallet, book] },
  );
}

function rename(account) {
  const alias = input({ value: account.alias });
  ask({
    title: `Rename “${accountName(account)}”`,
    fields: [field("New alias", alias)],
    submit: "Rename",
    act: async () => {
      const next = required(alias);
      await call("update-account-alias", { account_id: account.id, new_alias: next });
      await refreshBook();
      return `“${accountName(account)}” is now “${next}”`;
    },
  });
}

function remove(account) {
  const alias = input();
  ask({
    title: `Delete “${accountName(account)}”`,
    says: "The wallet forgets the account and its addresses. Funds stay on the chain and come back if an account is made from the same keys again.",
    fields: [field(`Type “${accountName(account)}” to confirm`, alias)],
    submit: "Delete account",
    danger: true,
    act: async () => {
      if (required(alias) !== accountName(account)) throw new Wrong(alias, "That is not its alias");
      await call("delete-account", { account_id: account.id });
      await refreshBook();
      go("accounts");
      return `Account “${accountName(account)}” deleted`;
    },
  });
}
