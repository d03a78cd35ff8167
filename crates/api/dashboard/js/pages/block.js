// One block: what it is, its transactions, its raw form.

import { h } from "../base/dom.js";
import { stringify } from "../base/json.js";
import { bytes } from "../base/format.js";
import { call } from "../node/call.js";
import { tip } from "../node/pulse.js";
import { feeOf } from "../node/transaction.js";
import { to } from "../shell/router.js";
import { icon } from "../ui/icons.js";
import { section, sheet, tabs } from "../ui/layout.js";
import { piecewise } from "../ui/pager.js";
import { pane } from "../ui/pane.js";
import { raw } from "../ui/raw.js";
import { facts, table } from "../ui/table.js";
import { kinds } from "../ui/transaction.js";
import { hash, money, when } from "../ui/value.js";

export function page(scope, argument, query) {
  const wanted = /^\d{1,15}$/.test(argument) ? { block_height: Number(argument) } : { block_hash: argument };
  const tab = query.get("tab") ?? "transactions";
  const views = { transactions, raw: rawView, json: jsonView };
  const element = pane(
    scope,
    (signal) => call("get-block", wanted, { signal }),
    (block) =>
      h(
        "div.stack",
        neighbours(block),
        section("Block", {}, blockFacts(block)),
        tabsOf(argument, tab, block),
        (views[tab] ?? transactions)(block, scope),
      ),
  );
  return sheet(wanted.block_hash ? "Block" : `Block ${argument}`, {}, element);
}

function neighbours({ height }) {
  return h(
    "div.neighbours",
    height > 0 && h("a.button", { href: to("block", height - 1) }, icon("left"), String(height - 1)),
    height < (tip.value?.height ?? 0) &&
      h("a.button", { href: to("block", height + 1) }, String(height + 1), icon("right")),
  );
}

function blockFacts(block) {
  return facts([
    ["Height", String(block.height)],
    ["Time", when(block.timestamp)],
    ["Hash", hash(block.hash, { what: "the block’s hash" })],
    ["Proposer", hash(block.validator, { what: "the proposer’s public key" })],
    ["Size", bytes(Math.round(block.size / 2))],
    [
      "Before it",
      hash(block.previous_block_hash, {
        href: block.height > 0 ? to("block", block.previous_block_hash) : undefined,
        what: "the hash",
      }),
    ],
    ["Transactions’ root", hash(block.transaction_merkle_root, { what: "the root" })],
    block.round !== undefined && ["Decided in round", String(block.round)],
    block.app_hash && ["State", hash(block.app_hash, { what: "the state’s hash" })],
  ]);
}

function tabsOf(argument, here, block) {
  const entry = (name, words) => [
    to("block", argument, { tab: name === "transactions" ? "" : name }),
    words,
    name === here,
  ];
  return tabs("Views of the block", [
    entry("transactions", `Transactions (${block.transactions.length})`),
    entry("raw", "Raw"),
    entry("json", "JSON"),
  ]);
}

function transactions(block) {
  const list = piecewise(
    table(
      [
        { head: "#", class: "num", cell: (transaction) => String(transaction.position) },
        { head: "Kind", cell: (transaction) => kinds(transaction) },
        {
          head: "Transaction",
          class: "more",
          cell: (transaction) =>
            hash(transaction.id, {
              href: to("tx", transaction.id, { block: block.height }),
              what: "the transaction’s id",
            }),
        },
        { head: "In → out", class: "num wide", cell: ({ inputs, outputs }) => `${inputs.length} → ${outputs.length}` },
        { head: "Fee", class: "num", cell: feeCell },
        { head: "Size", class: "num wide", cell: (transaction) => bytes(transaction.size) },
      ],
      { caption: "Transactions of the block", key: (transaction) => transaction.id },
    ),
  );
  list.update(block.transactions.map((transaction, position) => ({ ...transaction, position })));
  return section("Transactions", {}, list.element);
}

function feeCell(transaction) {
  const fee = feeOf(transaction);
  return fee === null ? h("span.faint", "–") : money(fee);
}

function rawView(block, scope) {
  return section(
    "Raw block",
    { flush: false },
    pane(
      scope,
      (signal) => call("get-raw-block", { block_height: block.height }, { signal }),
      ({ raw_block: hex }) => raw(hex, `block-${block.height}.hex`),
    ),
  );
}

function jsonView(block) {
  return section("As the node tells it", { flush: false }, raw(stringify(block, "  "), `block-${block.height}.json`));
}
