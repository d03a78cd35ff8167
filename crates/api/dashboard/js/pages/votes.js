// What the accounts have voted, and with how much.

import { h } from "../base/dom.js";
import { book } from "../node/book.js";
import { call } from "../node/call.js";
import { wallet } from "../node/pulse.js";
import { to } from "../shell/router.js";
import { accountFilter, only } from "../ui/accountfilter.js";
import { section, sheet } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { table } from "../ui/table.js";
import { hash, money } from "../ui/value.js";

export function page(scope, _, query) {
  const account = query.get("account") ?? "";
  return sheet(
    "Votes",
    {
      acts: h("a.button.primary", { href: to("send", "", { mode: "actions", does: "vote", account }) }, "Vote"),
      note: "Votes are BTM that stay locked for a while and elect validators. A veto takes them back.",
    },
    section("Votes", { acts: accountFilter(scope, "votes", account) }, voteList(scope, account)),
  );
}

export function voteList(scope, account) {
  const list = table(
    [
      { head: "Validator", class: "more", cell: ({ vote }) => hash(vote, { what: "the validator’s public key" }) },
      !account && { head: "Account", cell: ({ id, alias }) => h("a", { href: to("account", id) }, alias || id) },
      { head: "Votes", class: "num", cell: ({ amount }) => money(amount) },
      {
        head: "",
        class: "acts",
        cell: ({ id, vote, amount }) =>
          h(
            "a.button.small",
            { href: to("send", "", { mode: "actions", does: "veto", account: id, vote, amount: String(amount) }) },
            "Veto",
          ),
      },
    ].filter(Boolean),
    {
      caption: "Votes",
      key: ({ id, vote }) => `${id} ${vote}`,
      none: empty("No votes", "An account votes with a transaction of its own."),
    },
  );
  const load = async (signal) =>
    ((await call("list-account-votes", only(account), { signal })) ?? [])
      .filter((entry) => !account || entry.account_id === account)
      .flatMap((entry) =>
        (entry.vote_details ?? []).map(({ vote, vote_number: amount }) => ({
          id: entry.account_id,
          alias: entry.account_alias,
          vote,
          amount,
        })),
      );
  return pane(scope, load, () => list, { on: [wallet, book] });
}
