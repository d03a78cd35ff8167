// Transactions that wait for a block.

import { h } from "../base/dom.js";
import { known } from "../base/signal.js";
import { bytes, plural } from "../base/format.js";
import { call } from "../node/call.js";
import { pool } from "../node/pulse.js";
import { feeOf } from "../node/transaction.js";
import { to } from "../shell/router.js";
import { section, sheet } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { table } from "../ui/table.js";
import { kinds } from "../ui/transaction.js";
import { hash, money } from "../ui/value.js";

const DETAILED = 50;
// what was asked for once; a waiting transaction does not change
const seen = new Map();

export function page(scope) {
  const list = table(
    [
      {
        head: "Transaction",
        class: "more",
        cell: ({ id }) => hash(id, { href: to("tx", id), what: "the transaction’s id" }),
      },
      { head: "Kind", cell: (transaction) => (transaction.inputs ? kinds(transaction) : "") },
      {
        head: "In → out",
        class: "num wide",
        cell: ({ inputs, outputs }) => (inputs ? `${inputs.length} → ${outputs.length}` : ""),
      },
      {
        head: "Fee",
        class: "num",
        cell: (transaction) => (transaction.inputs && feeOf(transaction) !== null ? money(feeOf(transaction)) : ""),
      },
      { head: "Size", class: "num wide", cell: ({ size }) => (size ? bytes(size) : "") },
    ],
    {
      caption: "Unconfirmed transactions",
      key: ({ id }) => id,
      none: empty(
        "Nothing waits for a block",
        "Transactions appear here when they are submitted or arrive from peers, and leave with the block that takes them.",
      ),
    },
  );
  const note = h("span.note");
  const element = pane(
    scope,
    async (signal) => {
      const { total, ids } = await known(pool);
      return { total, rows: await details(ids.slice(0, DETAILED), signal) };
    },
    () => ({
      element: list.element,
      update({ total, rows }) {
        note.textContent = total > rows.length ? `the first ${rows.length} of ${total}` : plural(total, "transaction");
        list.update(rows);
      },
    }),
    { on: [pool] },
  );
  return sheet("Pool", {}, section("Unconfirmed transactions", { acts: note }, element));
}

async function details(ids, signal) {
  const wanted = ids.filter((id) => !seen.has(id));
  await Promise.all(wanted.map(async (id) => seen.set(id, await detail(id, signal))));
  for (const id of seen.keys()) if (!ids.includes(id)) seen.delete(id);
  return ids.map((id) => ({ ...seen.get(id), id }));
}

// it may have gone into a block between the two questions
async function detail(id, signal) {
  try {
    return await call("get-unconfirmed-transaction", { tx_id: id }, { signal });
  } catch (failure) {
    if (failure.kind === "refused") return {};
    throw failure;
  }
}
