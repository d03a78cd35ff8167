// After a transaction was submitted: where it is, until it is in the chain for good.

import { h } from "../../base/dom.js";
import { plural } from "../../base/format.js";
import { chain, pool, tip } from "../../node/pulse.js";
import { findTransaction } from "../../node/transaction.js";
import { to } from "../../shell/router.js";
import { section } from "../../ui/layout.js";
import { pane } from "../../ui/pane.js";
import { facts } from "../../ui/table.js";
import { hash, state, when } from "../../ui/value.js";

/** @param another what the button for the next transaction does */
export function follow(scope, id, another) {
  const progress = pane(
    scope,
    async (signal) => stage(await found(id, signal)),
    ({ place, depth, final }) =>
      h(
        "ol.steps",
        step(true, "Accepted by the node"),
        step(
          Boolean(place),
          place
            ? ["In block ", h("a", { href: to("block", place.height) }, String(place.height))]
            : "Waiting for a block",
        ),
        step(
          final || depth > 1,
          final ? "Final: it will not be undone" : place ? plural(depth, "confirmation") : "Confirmed",
        ),
        place && facts([["Time", when(place.time)]]),
      ),
    { on: [tip, pool, chain] },
  );
  return h(
    "div.stack",
    section(
      "Submitted",
      { flush: false },
      h("p", "The node has taken the transaction and passes it on."),
      facts([["Transaction", hash(id, { href: to("tx", id), what: "the transaction’s id" })]]),
      progress,
      h("div.form-actions", h("button", { type: "button", onclick: another }, "Another transaction")),
    ),
  );
}

// between the pool and the wallet's index there is a moment in which it is in neither
async function found(id, signal) {
  try {
    return await findTransaction(id, null, { signal });
  } catch (failure) {
    if (failure.kind === "refused") return { place: null };
    throw failure;
  }
}

function stage({ place }) {
  if (!place) return { place: null, depth: 0, final: false };
  return {
    place,
    depth: Math.max(1, (tip.value?.height ?? place.height) - place.height + 1),
    final: chain.value?.finalized_height >= place.height,
  };
}

const step = (done, words) => h("li", { class: done ? "done" : "" }, state(done ? "ok" : "idle", words));
