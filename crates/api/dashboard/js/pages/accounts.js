// The accounts of this node's wallet and what they hold.

import { BTM } from "../base/amount.js";
import { h } from "../base/dom.js";
import { known } from "../base/signal.js";
import { plural } from "../base/format.js";
import { accountName, book, keyOf, refreshBook } from "../node/book.js";
import { call } from "../node/call.js";
import { wallet } from "../node/pulse.js";
import { go, to } from "../shell/router.js";
import { ask } from "../ui/confirm.js";
import { check, field, input, required, Wrong } from "../ui/form.js";
import { section, sheet } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { table } from "../ui/table.js";
import { hash, money } from "../ui/value.js";

export function page(scope) {
  const list = table(
    [
      { head: "Account", cell: (account) => h("a", { href: to("account", account.id) }, accountName(account)) },
      { head: "BTM", class: "num", cell: ({ btm }) => money(btm, BTM, { unit: false }) },
      {
        head: "Other assets",
        class: "num wide",
        cell: ({ others }) => (others ? plural(others, "asset") : h("span.faint", "–")),
      },
      { head: "Signatures", class: "num wide", cell: ({ quorum, xpubs }) => `${quorum} of ${xpubs.length}` },
      { head: "Id", class: "grow wide", cell: ({ id }) => hash(id, { what: "the account’s id" }) },
      {
        head: "",
        class: "acts",
        cell: ({ id }) => h("a.button.small", { href: to("send", "", { account: id }) }, "Send"),
      },
    ],
    { caption: "Accounts", key: ({ id }) => id, none: noAccounts() },
  );
  const element = pane(
    scope,
    async (signal) => {
      const [accounts, balances] = await Promise.all(
        ["list-accounts", "list-balances"].map((name) => call(name, {}, { signal })),
      );
      return rowsOf(accounts ?? [], balances ?? []);
    },
    () => list,
    { on: [wallet, book] },
  );
  const create = h("button.primary", { type: "button", onclick: createAccount }, "New account");
  return sheet(
    "Accounts",
    { acts: create, note: "Balances include rewards that cannot be spent yet and what is on its way in blocks." },
    section("Accounts", {}, element),
  );
}

function rowsOf(accounts, balances) {
  return accounts.map((account) => {
    const own = balances.filter(({ account_id: id }) => id === account.id);
    const btm = own.find(({ asset_id: id }) => id === BTM)?.amount ?? 0;
    return { ...account, btm, others: own.filter(({ asset_id: id }) => id !== BTM).length };
  });
}

function noAccounts() {
  return empty(
    "No accounts yet",
    "An account holds addresses and funds under one key, or under several of which some must sign. ",
    h("br"),
    h("button", { type: "button", onclick: createAccount }, "New account"),
  );
}

export async function createAccount() {
  await known(book);
  if (!book.value.keys.length) await refreshBook();
  const { keys } = book.value;
  if (!keys.length) {
    return ask({
      title: "New account",
      says: "An account needs a key, and there is none on this node yet.",
      submit: "To the keys",
      act: async () => go("keys"),
    });
  }
  const alias = input({ name: "alias" });
  const boxes = keys.map((key, index) => Object.assign(check(key.alias, { checked: index === 0 }), { xpub: key.xpub }));
  const quorum = input({ name: "quorum", inputmode: "numeric", value: "1" });
  const foreign = h("textarea", { rows: 2, placeholder: "one per line", spellcheck: "false" });
  ask({
    title: "New account",
    fields: [
      field("Alias", alias, { hint: "Letters are stored in lower case." }),
      h("fieldset", h("legend", "Keys"), boxes),
      h(
        "details",
        { open: keys.length > 1 },
        h("summary", "Several signers"),
        h(
          "div.stack-tight",
          field("Signatures needed", quorum),
          field("Public keys of others", foreign, { hint: "Extended public keys, 128 hexadecimal characters each" }),
        ),
      ),
    ],
    submit: "Create account",
    act: async () => {
      const xpubs = [
        ...boxes.filter(({ box }) => box.checked).map(({ xpub }) => xpub),
        ...foreign.value.split(/\s+/).filter(Boolean),
      ];
      const bad = xpubs.find((xpub) => !/^[0-9a-f]{128}$/i.test(xpub));
      if (bad) throw new Wrong(foreign, "An extended public key is 128 hexadecimal characters");
      const needed = required(quorum);
      if (!/^\d+$/.test(needed) || needed < 1 || needed > xpubs.length)
        throw new Wrong(quorum, xpubs.length ? `From 1 to ${xpubs.length}` : "Choose at least one key");
      const account = await call("create-account", {
        root_xpubs: xpubs,
        quorum: Number(needed),
        alias: required(alias),
      });
      await refreshBook();
      go("account", account.id);
      return `Account “${accountName(account)}” created`;
    },
  });
}

/** The keys of an account, by their aliases where they are on this node. */
export function signers(account) {
  return account.xpubs.map((xpub) =>
    h("div", keyOf(xpub)?.alias ?? h("span.soft", "not on this node"), " ", hash(xpub, { what: "the public key" })),
  );
}
