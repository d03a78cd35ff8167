// What the accounts can spend, piece by piece.

import { h } from "../base/dom.js";
import { check } from "../ui/form.js";
import { call } from "../node/call.js";
import { tip, wallet } from "../node/pulse.js";
import { to } from "../shell/router.js";
import { accountFilter, only } from "../ui/accountfilter.js";
import { section, sheet } from "../ui/layout.js";
import { pagedPane } from "../ui/pager.js";
import { empty } from "../ui/pane.js";
import { table } from "../ui/table.js";
import { hash, money, state, tag } from "../ui/value.js";

export function page(scope, _, query) {
  const account = query.get("account") ?? "";
  return sheet(
    "Unspent outputs",
    { note: "Each is spent whole; what is not needed comes back as change. Many small ones make a transaction dear." },
    section("Unspent outputs", { acts: accountFilter(scope, "outputs", account) }, outputList(scope, account)),
  );
}

export function outputList(scope, account) {
  const unconfirmed = check("With those of the pool", { onchange: () => element.restart() });
  const list = table(
    [
      { head: "Output", class: "grow", cell: ({ id }) => hash(id, { what: "the output’s id" }) },
      !account && { head: "Account", class: "wide", cell: ({ account_id: id, account_alias: alias }) => h("a", { href: to("account", id) }, alias || id) },
      { head: "Amount", class: "num", cell: ({ amount, asset_id: asset }) => money(amount, asset) },
      { head: "Spendable", cell: spendable },
      { head: "Address", class: "grow wide", cell: (output) => [hash(output.address, { what: "the address" }), output.change && [" ", tag("change")]] },
      { head: "", class: "acts wide", cell: ({ id }) => h("a.button.small", { href: to("send", "", { output: id }) }, "Spend") },
    ].filter(Boolean),
    { caption: "Unspent outputs", key: ({ id }) => id, none: empty("Nothing to spend", "Outputs appear here with the block that pays them.") },
  );
  const load = async (from, count, signal) => {
    const answer = await call("list-unspent-outputs", { ...only(account), unconfirmed: unconfirmed.box.checked, smart_contract: false, from, count }, { signal });
    // the height belongs to the row: it decides what the row says
    return (answer ?? []).map((output) => ({ ...output, immature: output.valid_height > (tip.value?.height ?? 0) }));
  };
  const element = pagedPane(scope, load, list, { on: [wallet] });
  return h("div", h("div.list-options", unconfirmed), element);
}

function spendable(output) {
  const words = [];
  if (output.vote) words.push(tag("vote"), " ");
  if (output.reserved) words.push(state("warn", "reserved"));
  else words.push(output.immature ? state("idle", `from height ${output.valid_height}`) : state("ok", "now"));
  return words;
}
