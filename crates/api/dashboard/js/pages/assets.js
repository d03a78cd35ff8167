// The assets that this wallet knows: BTM, its own, and those it has seen.

import { h } from "../base/dom.js";
import { decimalsOf } from "../base/amount.js";
import { stringify } from "../base/json.js";
import { book, keyOf, refreshBook } from "../node/book.js";
import { call } from "../node/call.js";
import { to } from "../shell/router.js";
import { ask } from "../ui/confirm.js";
import { openDialog } from "../ui/dialog.js";
import { check, field, input, required, Wrong } from "../ui/form.js";
import { section, sheet } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { facts, table } from "../ui/table.js";
import { hash, tag } from "../ui/value.js";

const OWN = "asset";

export function page(scope) {
  const list = table(
    [
      {
        head: "Asset",
        cell: (asset) => h("button.link", { type: "button", onclick: () => details(asset) }, nameOf(asset)),
      },
      { head: "Kind", class: "wide", cell: ({ type }) => tag(type === OWN ? "own" : type) },
      { head: "Decimals", class: "num wide", cell: (asset) => String(decimalsOf(asset)) },
      { head: "Id", class: "more", cell: ({ id }) => hash(id, { what: "the asset’s id" }) },
      {
        head: "",
        class: "acts",
        cell: ({ id, type }) =>
          type === OWN &&
          h("a.button.small", { href: to("send", "", { mode: "actions", does: "issue", asset: id }) }, "Issue"),
      },
    ],
    { caption: "Assets", key: ({ id }) => id, none: empty("No assets") },
  );
  const element = pane(
    scope,
    (signal) => call("list-assets", {}, { signal }).then((assets) => assets ?? []),
    () => list,
    { on: [book] },
  );
  return sheet(
    "Assets",
    { acts: h("button.primary", { type: "button", onclick: createAsset }, "New asset") },
    section("Assets", {}, element),
  );
}

const nameOf = ({ alias, id }) => (alias && alias !== id ? alias : `${id.slice(0, 12)}…`);

function details(asset) {
  const own = asset.type === OWN;
  openDialog({
    title: nameOf(asset),
    wide: true,
    content: [
      facts([
        ["Id", hash(asset.id, { what: "the asset’s id" })],
        asset.xpubs && [
          "Issued by",
          `${asset.quorum} of ${asset.xpubs.length}: `,
          asset.xpubs.map((xpub) => keyOf(xpub)?.alias ?? `${xpub.slice(0, 12)}…`).join(", "),
        ],
        asset.issue_program && ["Program", hash(asset.issue_program, { what: "the issuance program" })],
        asset.limit_height > 0 && ["Issued until height", String(asset.limit_height)],
      ]),
      h("pre", stringify(asset.definition ?? {}, "  ")),
      own && h("div.form-actions", h("button", { type: "button", onclick: () => rename(asset) }, "Rename")),
    ],
  });
}

function rename(asset) {
  const alias = input({ value: asset.alias });
  ask({
    title: `Rename ${asset.alias}`,
    says: "The alias is this wallet’s own; the asset itself does not change.",
    fields: [field("New alias", alias, { hint: "Letters are stored in upper case." })],
    submit: "Rename",
    act: async () => {
      await call("update-asset-alias", { id: asset.id, alias: required(alias) });
      await refreshBook();
      document.querySelector("dialog[open]")?.close();
      return `${asset.alias} is now ${alias.value.trim().toUpperCase()}`;
    },
  });
}

async function createAsset() {
  await refreshBook();
  const { keys } = book.value;
  const alias = input();
  const name = input();
  const decimals = input({ inputmode: "numeric", value: "8" });
  const words = input();
  const quorum = input({ inputmode: "numeric", value: "1" });
  const limit = input({ inputmode: "numeric", placeholder: "no limit" });
  const boxes = keys.map((key, index) => Object.assign(check(key.alias, { checked: index === 0 }), { xpub: key.xpub }));
  ask({
    title: "New asset",
    says: "This defines it in the wallet; the chain learns of it with the first issue.",
    fields: [
      h(
        "div.row",
        field("Alias", alias, { hint: "Letters are stored in upper case." }),
        field("Decimals", decimals, { hint: "0 to 18" }),
      ),
      field("Name", name),
      field("Description", words),
      keys.length
        ? h("fieldset", h("legend", "Keys that issue it"), boxes)
        : empty("No keys yet", "Create a key first."),
      h("div.row", field("Signatures needed", quorum), field("May be issued until height", limit)),
    ],
    submit: "Create asset",
    act: async () => {
      const code = required(alias).toUpperCase();
      const places = Number(required(decimals));
      if (!Number.isInteger(places) || places < 0 || places > 18) throw new Wrong(decimals, "From 0 to 18");
      const until = limit.value.trim() === "" ? 0 : Number(limit.value);
      if (!Number.isSafeInteger(until) || until < 0) throw new Wrong(limit, "A height");
      const definition = {
        decimals: places,
        description: words.value.trim(),
        name: name.value.trim() || code,
        symbol: code,
      };
      const asset = await call("create-asset", {
        alias: code,
        definition,
        limit_height: until,
        quorum: Number(quorum.value),
        root_xpubs: boxes.filter(({ box }) => box.checked).map(({ xpub }) => xpub),
      });
      await refreshBook();
      return `Asset ${asset.alias} created`;
    },
  });
}
