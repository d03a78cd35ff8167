// The signing keys on this node. The node keeps them encrypted; the words that restore one are shown once, when it is made.

import { h } from "../base/dom.js";
import { book } from "../node/book.js";
import { call } from "../node/call.js";
import { section, sheet } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { table } from "../ui/table.js";
import { hash } from "../ui/value.js";
import { changePassword, checkPassword, createKey, deleteKey, importKey, renameKey } from "./keyacts.js";

export function page(scope) {
  const list = table(
    [
      { head: "Key", cell: ({ alias }) => h("b", alias) },
      {
        head: "Public key, file",
        class: "more",
        cell: ({ xpub, file }) => [
          h("div", hash(xpub, { what: "the extended public key" })),
          h("div.faint", hash(file, { what: "the file’s path" })),
        ],
      },
      { head: "", class: "acts", cell: (key) => acts(key) },
    ],
    { caption: "Keys", key: ({ xpub }) => xpub, none: noKeys() },
  );
  const element = pane(
    scope,
    (signal) => call("list-keys", {}, { signal }).then((keys) => keys ?? []),
    () => list,
    { on: [book] },
  );
  const buttons = [
    h("button.primary", { type: "button", onclick: createKey }, "New key"),
    h("button", { type: "button", onclick: importKey }, "Import"),
  ];
  return sheet("Keys", { acts: buttons }, section("Keys on this node", {}, element));
}

function acts(key) {
  const act = (words, does) =>
    h("button", { type: "button", onclick: () => does(key), "aria-label": `${words}: ${key.alias}` }, words);
  return h(
    "span.key-acts",
    act("Check password", checkPassword),
    act("Change password", changePassword),
    act("Rename", renameKey),
    act("Delete", deleteKey),
  );
}

function noKeys() {
  return empty(
    "No keys yet",
    "A key signs for accounts. Start with one; accounts, addresses and funds follow. ",
    h("br"),
    h("button", { type: "button", onclick: createKey }, "New key"),
  );
}
