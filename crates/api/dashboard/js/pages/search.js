// Finds out what was typed into the search box, and goes there.

import { h } from "../base/dom.js";
import { book, refreshBook } from "../node/book.js";
import { call } from "../node/call.js";
import { findTransaction } from "../node/transaction.js";
import { to } from "../shell/router.js";
import { section, sheet } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { facts } from "../ui/table.js";
import { hash, state } from "../ui/value.js";

export function page(scope, wanted) {
  const element = pane(
    scope,
    (signal) => find(wanted.trim(), { signal }),
    (found) => {
      if (found.href) {
        location.replace(found.href);
        return h("p.faint", "Found.");
      }
      return found.address ? addressCard(found.address) : nothing();
    },
  );
  return sheet("Search", { note: h("span", "for ", h("code", wanted)) }, element);
}

async function find(wanted, options) {
  if (/^\d{1,15}$/.test(wanted)) return { href: to("block", wanted) };
  if (/^[0-9a-f]{64}$/i.test(wanted)) return byHash(wanted.toLowerCase(), options);
  if (/^[a-z]{2}1[a-z0-9]{20,}$/i.test(wanted))
    return { address: { text: wanted, ...(await call("validate-address", { address: wanted }, options)) } };
  if (!book.value.ready) await refreshBook();
  const account = book.value.accounts.find(({ alias, id }) => alias === wanted.toLowerCase() || id === wanted);
  return account ? { href: to("account", account.id) } : {};
}

async function byHash(hex, options) {
  const block = await told(call("get-block", { block_hash: hex }, options));
  if (block?.hash === hex) return { href: to("block", hex) };
  const transaction = await told(findTransaction(hex, null, options));
  return transaction ? { href: to("tx", hex) } : {};
}

async function told(answer) {
  try {
    return await answer;
  } catch (failure) {
    if (failure.kind === "refused") return null;
    throw failure;
  }
}

function addressCard({ text, valid, is_local: own }) {
  return section(
    "Address",
    {},
    facts([
      ["Address", hash(text, { what: "the address" })],
      ["Form", valid ? state("ok", "valid on this network") : state("bad", "not an address of this network")],
      valid && ["Owner", own ? "this node’s wallet" : "not this node’s wallet"],
      valid && ["Pay to it", h("a", { href: to("send", "", { address: text }) }, "new transaction")],
    ]),
  );
}

function nothing() {
  return section(
    "Result",
    {},
    empty(
      "Nothing found",
      "A height, a block’s hash, a transaction’s id, an address or an account’s alias can be found. Transactions of others are known only to a node that runs with --wallet.txindex; open their block instead.",
    ),
  );
}
