// One transaction, wherever it is: on its way, or in a block.

import { h, put } from "../base/dom.js";
import { stringify } from "../base/json.js";
import { bytes, plural } from "../base/format.js";
import { tip } from "../node/pulse.js";
import { feeOf, findTransaction } from "../node/transaction.js";
import { to } from "../shell/router.js";
import { section, sheet } from "../ui/layout.js";
import { pane } from "../ui/pane.js";
import { raw } from "../ui/raw.js";
import { facts } from "../ui/table.js";
import { entries, kinds } from "../ui/transaction.js";
import { hash, money, state, when } from "../ui/value.js";

export function page(scope, id, query) {
  const block = /^\d+$/.test(query.get("block") ?? "") ? Number(query.get("block")) : null;
  const element = pane(
    scope,
    async (signal) => ({ found: await findTransaction(id, block, { signal }), height: tip.value?.height ?? null }),
    build,
    { on: [tip] },
  );
  return sheet("Transaction", {}, element);
}

// its confirmations count on with every block; the rest stays as it is, with whatever is opened or selected in it
function build() {
  const facts = h("div");
  const body = h("div.stack");
  let shown = null;
  return {
    element: h("div.stack", section("Transaction", {}, facts), body),
    update({ found, height }) {
      put(facts, about(found, height));
      const now = stringify(found);
      if (now === shown) return;
      shown = now;
      put(body, entries(found), json(found));
    },
  };
}

function about(found, height) {
  const { place } = found;
  const fee = feeOf(found);
  const depth = place && height !== null ? height - place.height + 1 : null;
  return facts([
    ["Id", hash(found.id, { what: "the transaction’s id" })],
    ["Kind", kinds(found)],
    [
      "State",
      place
        ? state("ok", "in a block", depth > 0 ? `, ${plural(depth, "confirmation")}` : "")
        : state("idle", "in the pool, waiting for a block"),
    ],
    place && [
      "Block",
      h("a", { href: to("block", place.height) }, String(place.height)),
      place.index !== undefined ? `, transaction ${place.index}` : "",
    ],
    place && ["Time", when(place.time)],
    fee !== null && ["Fee", money(fee)],
    ["Size", bytes(found.size)],
    found.time_range > 0 && ["Valid until height", String(found.time_range)],
  ]);
}

function json(found) {
  const { place, ...told } = found;
  return h("details", h("summary", "As the node tells it"), raw(stringify(told, "  "), `transaction-${found.id}.json`));
}
