// The transactions of this node's wallet, newest first, as what they changed for its accounts.

import { h } from "../base/dom.js";
import { call } from "../node/call.js";
import { pool, wallet } from "../node/pulse.js";
import { effectOf, fromIndex } from "../node/transaction.js";
import { to } from "../shell/router.js";
import { accountFilter, only } from "../ui/accountfilter.js";
import { section, sheet } from "../ui/layout.js";
import { pagedPane } from "../ui/pager.js";
import { empty } from "../ui/pane.js";
import { table } from "../ui/table.js";
import { kinds } from "../ui/transaction.js";
import { ago, hash, money, state } from "../ui/value.js";

export function page(scope, _, query) {
  const account = query.get("account") ?? "";
  return sheet(
    "Transactions",
    { note: "Those of this node’s wallet. Any other is found by its id, in its block." },
    section("Transactions", { acts: accountFilter(scope, "history", account) }, historyList(scope, account)),
  );
}

export function historyList(scope, account) {
  const list = table(
    [
      {
        head: "Transaction",
        class: "grow",
        cell: ({ id, place }) =>
          hash(id, { href: to("tx", id, { block: place?.height }), what: "the transaction’s id" }),
      },
      { head: "Kind", class: "wide", cell: (transaction) => kinds(transaction) },
      {
        head: "Block",
        class: "num",
        cell: ({ place }) =>
          place ? h("a", { href: to("block", place.height) }, String(place.height)) : state("idle", "in the pool"),
      },
      { head: "Age", class: "num wide", cell: (transaction) => ago(transaction.block_time) },
      { head: "Change", class: "num", cell: (transaction) => change(effectOf(transaction), account) },
    ],
    {
      caption: "Transactions",
      key: ({ id }) => id,
      none: empty("No transactions yet", "They appear here once one of the wallet’s addresses is paid or spends."),
    },
  );
  const load = async (from, count, signal) => {
    const answer = await call(
      "list-transactions",
      { ...only(account), detail: true, unconfirmed: true, from, count },
      { signal },
    );
    return (answer ?? []).map(fromIndex);
  };
  return pagedPane(scope, load, list, { on: [wallet, pool], size: 30 });
}

function change(effect, account) {
  const lines = [...effect].flatMap(([name, sums]) =>
    [...sums]
      .filter(([, sum]) => sum !== 0n)
      .map(([asset, sum]) =>
        h(
          "div",
          !account && h("span.faint", `${name} `),
          h(sum > 0n ? "span.gain" : "span.loss", sum > 0n ? "+" : "", money(sum, asset)),
        ),
      ),
  );
  return lines.length ? lines : h("span.faint", "nothing");
}
