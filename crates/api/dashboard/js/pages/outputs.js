// What the accounts can spend, piece by piece.

import { h } from "../base/dom.js";
import { duration } from "../base/format.js";
import { signal } from "../base/signal.js";
import { check } from "../ui/form.js";
import { call, now } from "../node/call.js";
import { tip, wallet } from "../node/pulse.js";
import { release, reservations } from "../node/reservations.js";
import { to } from "../shell/router.js";
import { accountFilter, only } from "../ui/accountfilter.js";
import { section, sheet } from "../ui/layout.js";
import { pagedPane } from "../ui/pager.js";
import { empty, pane } from "../ui/pane.js";
import { table } from "../ui/table.js";
import { toast } from "../ui/toast.js";
import { hash, money, state, tag } from "../ui/value.js";

// counts what was released here, so that the lists ask again
const released = signal(0);

export function page(scope, _, query) {
  const account = query.get("account") ?? "";
  return sheet(
    "Unspent outputs",
    { note: "Each is spent whole; what is not needed comes back as change. Many small ones make a transaction dear." },
    section("Unspent outputs", { acts: accountFilter(scope, "outputs", account) }, outputList(scope, account)),
    heldSection(scope),
  );
}

export function outputList(scope, account) {
  const unconfirmed = check("With those of the pool", { onchange: () => element.restart() });
  const list = table(
    [
      { head: "Output", class: "grow", cell: ({ id }) => hash(id, { what: "the output’s id" }) },
      !account && {
        head: "Account",
        class: "wide",
        cell: ({ account_id: id, account_alias: alias }) => h("a", { href: to("account", id) }, alias || id),
      },
      { head: "Amount", class: "num", cell: ({ amount, asset_id: asset }) => money(amount, asset) },
      { head: "Spendable", cell: spendable },
      {
        head: "Address",
        class: "grow wide",
        cell: (output) => [hash(output.address, { what: "the address" }), output.change && [" ", tag("change")]],
      },
      {
        head: "",
        class: "acts wide",
        cell: ({ id }) => h("a.button.small", { href: to("send", "", { output: id }) }, "Spend"),
      },
    ].filter(Boolean),
    {
      caption: "Unspent outputs",
      key: ({ id }) => id,
      none: empty("Nothing to spend", "Outputs appear here with the block that pays them."),
    },
  );
  const load = async (from, count, signal) => {
    const body = { ...only(account), unconfirmed: unconfirmed.box.checked, smart_contract: false, from, count };
    const [answer, reserved] = await Promise.all([
      call("list-unspent-outputs", body, { signal }),
      reservations({ signal }),
    ]);
    const held = new Set((reserved ?? []).flatMap(({ outputs }) => outputs.map(({ id }) => id)));
    // these belong to the row: they decide what it says
    return (answer ?? []).map((output) => ({
      ...output,
      held: held.has(output.id),
      immature: output.valid_height > (tip.value?.height ?? 0),
    }));
  };
  const element = pagedPane(scope, load, list, { on: [wallet, released] });
  return h("div", h("div.list-options", unconfirmed), element);
}

function spendable(output) {
  const words = [];
  if (output.vote) words.push(tag("vote"), " ");
  if (output.held) words.push(state("warn", "held"));
  else words.push(output.immature ? state("idle", `from height ${output.valid_height}`) : state("ok", "now"));
  return words;
}

/** What is held for transactions that were built and not sent; nothing on a node that does not tell. */
function heldSection(scope) {
  const list = table(
    [
      { head: "Held for", class: "num", cell: ({ id }) => `build ${id}` },
      { head: "Outputs", class: "num", cell: ({ outputs }) => String(outputs.length) },
      {
        head: "Amount",
        class: "num",
        cell: ({ outputs }) => sums(outputs).map(([asset, sum]) => h("div", money(sum, asset))),
      },
      { head: "Let go in", class: "num", cell: ({ left }) => left },
      {
        head: "",
        class: "acts",
        cell: ({ id }) => h("button", { type: "button", onclick: () => letGo(id) }, "Release"),
      },
    ],
    { caption: "Held outputs", key: ({ id }) => id },
  );
  const place = h("div");
  const load = async (abort) =>
    ((await reservations({ signal: abort })) ?? []).map((held) => ({
      ...held,
      left: duration(Date.parse(held.expires_at) - now()),
    }));
  const build = () => ({
    element: section(
      "Held for transactions that were not sent",
      { note: "No other transaction gets them until then." },
      list.element,
    ),
    update(rows) {
      place.hidden = rows.length === 0;
      list.update(rows);
    },
  });
  place.append(pane(scope, load, build, { on: [wallet, released], waiting: h("span") }));
  return place;
}

async function letGo(id) {
  const answer = await release(id);
  toast(answer?.released ? "Released" : "It was not held any more", answer?.released ? "ok" : "warn");
  released.set(released.value + 1);
}

function sums(outputs) {
  const totals = new Map();
  for (const { asset_id: asset, amount } of outputs) totals.set(asset, (totals.get(asset) ?? 0n) + BigInt(amount));
  return [...totals];
}
