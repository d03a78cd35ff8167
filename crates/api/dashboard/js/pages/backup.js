// The wallet as a file, back from a file, and read anew from the chain.

import { h, put } from "../base/dom.js";
import { parse, stringify } from "../base/json.js";
import { plural } from "../base/format.js";
import { refreshBook } from "../node/book.js";
import { call } from "../node/call.js";
import { hurry, tip, wallet } from "../node/pulse.js";
import { check, field, form, input, required, Wrong } from "../ui/form.js";
import { section, sheet } from "../ui/layout.js";
import { save } from "../ui/save.js";
import { facts } from "../ui/table.js";
import { state } from "../ui/value.js";

const LARGEST = 64 * 1024 * 1024;
const LONG_MS = 600_000;

export function page(scope) {
  return sheet(
    "Backup and rescan",
    {},
    section("The wallet", { flush: false }, progress(scope)),
    h(
      "div.halves",
      section("Backup", { flush: false }, backup()),
      section("Restore", { flush: false }, restore()),
      section("Rescan", { flush: false }, rescan()),
      section("Find accounts of a key", { flush: false }, recover()),
    ),
  );
}

/** How far the wallet has read the chain, as a bar. */
function progress(scope) {
  const place = h("div.stack-tight");
  scope.on(wallet, (now) => {
    if (now === false) return put(place, h("p.soft", "This node runs without a wallet."));
    if (!now) return put(place, h("p.soft", "Asking the node…"));
    const { wallet_height: done, best_block_height: all, rescan: again } = now;
    const behind = Math.max(0, all - done);
    if (again) {
      return put(
        place,
        h("div", state("warn", `reading again from height ${again.from_height}: ${again.done_percent} %`)),
        h("progress", { max: 100, value: again.done_percent, "aria-label": "Rescan" }),
        h("p.small.soft", `${done} of ${all} blocks read. Balances and outputs are from there.`),
      );
    }
    put(
      place,
      h(
        "div",
        behind > 2
          ? state("warn", `reading the chain: ${plural(behind, "block")} to go`)
          : state("ok", "up to date with the chain"),
      ),
      h("progress", { max: Math.max(1, all), value: done, "aria-label": "Blocks read" }),
      h("p.small.soft", `${done} of ${all} blocks read`),
    );
  });
  return place;
}

function backup() {
  return form({
    fields: [
      h(
        "p.soft.small",
        "Keys (encrypted with their passwords), accounts and assets in one file. The recovery words and the passwords are not in it.",
      ),
    ],
    submit: "Save backup",
    act: async () => {
      const image = await call("backup-wallet", {}, { deadline: LONG_MS });
      const name = `batond-wallet-${new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-")}.json`;
      save(stringify(image, "  "), name, "application/json");
      return h(
        "div.outcome",
        h("p", `Saved as ${name}: ${contents(image)}.`),
        h("p.soft", "Keep it where the keys’ passwords are not."),
      );
    },
  });
}

function restore() {
  const file = h("input", { type: "file", accept: ".json,application/json" });
  const shown = h("div");
  let image = null;
  file.addEventListener("change", async () => {
    image = null;
    put(shown);
    try {
      image = await read(file);
      put(
        shown,
        h(
          "div.caution",
          h(
            "p",
            `This file holds ${contents(image)}. What the node has already stays as it is; the rest is added, and the chain is read again.`,
          ),
        ),
      );
    } catch (failure) {
      if (!(failure instanceof Wrong)) throw failure;
      failure.control.complain(failure.message);
    }
  });
  return form({
    fields: [field("Backup file", file), shown],
    submit: "Restore",
    act: async () => {
      if (!image) throw new Wrong(file, "Choose a backup file");
      await call("restore-wallet", image, { deadline: LONG_MS });
      await refreshBook();
      hurry();
      return h(
        "div.outcome",
        h(
          "p",
          "Restored. The wallet reads the chain again; the bar above shows how far it is. Balances are complete when it is through.",
        ),
      );
    },
  });
}

async function read(control) {
  const [file] = control.files;
  if (!file) throw new Wrong(control, "Choose a backup file");
  if (file.size > LARGEST) throw new Wrong(control, "Too large for a wallet’s backup");
  try {
    const value = parse(await file.text());
    const image = value?.data ?? value;
    if (image?.key_images || image?.account_image) return image;
  } catch (failure) {
    if (!(failure instanceof SyntaxError)) throw failure;
  }
  throw new Wrong(control, "Not a backup of a wallet");
}

function contents(image) {
  const count = (list, one) => plural(list?.length ?? 0, one);
  return `${count(image.key_images?.xkeys, "key")}, ${count(image.account_image?.slices, "account")}, ${count(image.asset_image?.assets, "asset")}`;
}

function rescan() {
  const from = input({ inputmode: "numeric", placeholder: "0" });
  return form({
    fields: [
      h(
        "p.soft.small",
        "Reads the chain again for the wallet’s addresses. Until it is through, balances are incomplete; nothing is lost.",
      ),
      field("From height", from, { hint: "Empty: from the beginning. Older nodes always begin there." }),
    ],
    submit: "Rescan",
    act: async () => {
      const source = from.value.trim();
      if (source && (!/^\d{1,15}$/.test(source) || Number(source) > (tip.value?.height ?? Infinity)))
        throw new Wrong(from, `A height up to ${tip.value?.height ?? "the tip"}`);
      await call("rescan-wallet", source ? { from_height: Number(source) } : {}, { deadline: LONG_MS });
      hurry();
      return h("div.outcome", h("p", "Begun. The bar above shows how far it is."));
    },
  });
}

function recover() {
  const xpubs = h("textarea", { rows: 3, spellcheck: "false", placeholder: "one per line" });
  const sure = check("These keys are on this node, or I only watch their accounts");
  return form({
    fields: [
      h(
        "p.soft.small",
        "After a key was imported: looks for accounts and addresses of it that were used on the chain.",
      ),
      field("Extended public keys", xpubs),
      sure,
    ],
    submit: "Find accounts",
    act: async () => {
      const list = required(xpubs).split(/\s+/);
      if (list.some((xpub) => !/^[0-9a-f]{128}$/i.test(xpub)))
        throw new Wrong(xpubs, "128 hexadecimal characters each");
      if (!sure.box.checked) throw new Wrong(xpubs, "Tick the box below first");
      await call("recovery-wallet", { xpubs: list }, { deadline: LONG_MS });
      await refreshBook();
      hurry();
      return h("div.outcome", h("p", "Begun. Accounts appear as they are found; the bar above shows how far it is."));
    },
  });
}
