// Where accounts are paid to.

import { h, put } from "../base/dom.js";
import { signal } from "../base/signal.js";
import { accountChoices, book } from "../node/book.js";
import { call } from "../node/call.js";
import { to } from "../shell/router.js";
import { accountFilter } from "../ui/accountfilter.js";
import { openDialog } from "../ui/dialog.js";
import { field, form, select } from "../ui/form.js";
import { section, sheet } from "../ui/layout.js";
import { pagedPane } from "../ui/pager.js";
import { empty, skeleton } from "../ui/pane.js";
import { facts, table } from "../ui/table.js";
import { hash, tag } from "../ui/value.js";

// counts the addresses made here, so that lists ask again
const made = signal(0);

export function page(scope, _, query) {
  const wanted = query.get("account") ?? "";
  const create = h("button.primary", { type: "button", onclick: () => newAddress(wanted) }, "New address");
  const place = h("div", skeleton());
  const filter = accountFilter(scope, "addresses", wanted, { all: false });
  // the node lists the addresses of one account at a time
  scope.on(book, ({ ready, accounts }) => {
    if (!ready || place.dataset.shown) return;
    const account = wanted || accounts[0]?.id;
    if (account) place.dataset.shown = account;
    put(
      place,
      account
        ? addressList(scope, account)
        : empty(
            "No addresses yet",
            "Create an account first: ",
            h("a", { href: to("accounts") }, "to the accounts"),
            ".",
          ),
    );
  });
  return sheet("Addresses", { acts: create }, section("Addresses", { acts: filter }, place));
}

export function addressList(scope, account) {
  const list = table(
    [
      { head: "Address", class: "more", cell: ({ address }) => hash(address, { what: "the address" }) },
      { head: "Use", cell: ({ change }) => tag(change ? "change" : "receive") },
      { head: "Index", class: "num wide", cell: ({ key_index: index }) => String(index) },
      {
        head: "Program",
        class: "grow wide",
        cell: ({ control_program: program }) => hash(program, { what: "the program" }),
      },
    ],
    {
      caption: "Addresses",
      key: ({ address }) => address,
      none: empty("No addresses yet", "A new account has one as soon as it is asked for."),
    },
  );
  return pagedPane(
    scope,
    (from, count, signal) => call("list-addresses", { account_id: account, from, count }, { signal }),
    list,
    { on: [made] },
  );
}

export function newAddress(wanted = "") {
  const accounts = accountChoices();
  const account = select(accounts, { value: wanted });
  const body = h("div.stack");
  const dialog = openDialog({ title: "New address", content: body });
  body.append(
    form({
      fields: [accounts.length ? field("Account", account) : empty("No accounts yet", "Create an account first.")],
      submit: "Make address",
      act: async () => {
        const { address, control_program: program } = await call("create-account-receiver", {
          account_id: account.value,
        });
        made.set(made.value + 1);
        return h(
          "div.outcome",
          h("p", "Made. It can be paid to at once."),
          facts([
            ["Address", hash(address, { what: "the address" })],
            ["Program", hash(program, { what: "the program" })],
          ]),
          h("button", { type: "button", onclick: () => dialog.close() }, "Done"),
        );
      },
    }),
  );
}
