// What can be done with keys. Passwords and words go to the node and are not kept here.

import { h, put } from "../base/dom.js";
import { refreshBook } from "../node/book.js";
import { call } from "../node/call.js";
import { ask } from "../ui/confirm.js";
import { openDialog } from "../ui/dialog.js";
import { check, field, input, password, required, select, Wrong } from "../ui/form.js";
import { toast } from "../ui/toast.js";

const LANGUAGES = [
  ["en", "English"],
  ["zh_CN", "Chinese, simplified"],
  ["zh_TW", "Chinese, traditional"],
  ["it", "Italian"],
  ["ja", "Japanese"],
  ["ko", "Korean"],
  ["es", "Spanish"],
];
const GOOD_LENGTH = 8;

export function createKey() {
  const alias = input();
  const secret = newPassword();
  const language = select(LANGUAGES);
  ask({
    title: "New key",
    fields: [
      field("Alias", alias, { hint: "Letters are stored in lower case." }),
      secret.fields,
      field("Language of the recovery words", language),
    ],
    submit: "Create key",
    act: async () => {
      const key = await call("create-key", {
        alias: required(alias),
        password: secret.value(),
        language: language.value,
      });
      await refreshBook();
      showWords(key);
    },
  });
}

export function importKey() {
  const alias = input();
  const words = h("textarea", { rows: 3, spellcheck: "false", autocapitalize: "off", autocomplete: "off" });
  const secret = newPassword();
  const language = select(LANGUAGES);
  ask({
    title: "Import a key",
    says: "From the recovery words that were shown when it was made. Its accounts are found again at Backup and rescan.",
    fields: [
      field("Alias", alias),
      field("Recovery words", words, { hint: "Twelve, in order" }),
      field("Language of the words", language),
      secret.fields,
    ],
    submit: "Import key",
    act: async () => {
      const mnemonic = required(words).split(/\s+/).join(" ");
      const key = await call("create-key", {
        alias: required(alias),
        password: secret.value(),
        mnemonic,
        language: language.value,
      });
      await refreshBook();
      return `Key “${key.alias}” imported`;
    },
  });
}

// The only time that the words are seen: the dialog closes only by the button, and what it held goes with it.
function showWords({ alias, mnemonic }) {
  if (!mnemonic) return toast(`Key “${alias}” created`);
  const list = h(
    "ol.mnemonic",
    { "aria-label": "Recovery words" },
    mnemonic.split(/\s+/).map((word) => h("li", word)),
  );
  const seen = check("I have written the words down, in this order", {
    onchange: () => (done.disabled = !seen.box.checked),
  });
  const done = h("button.primary", { type: "button", disabled: true, onclick: () => dialog.close() }, "Done");
  const dialog = openDialog({
    title: `Key “${alias}” created`,
    sticky: true,
    content: [
      h(
        "div.caution",
        h(
          "p",
          "These words are the key. They are shown once and cannot be shown again: write them down on paper. Who has them can spend everything; without them and the file the funds are lost.",
        ),
      ),
      list,
      seen,
      h("div.form-actions", done),
    ],
    onclose: () => put(list),
  });
}

export function checkPassword({ alias, xpub }) {
  const secret = password();
  ask({
    title: `Check the password of “${alias}”`,
    fields: [field("Password", secret)],
    submit: "Check",
    act: async () => {
      const { check_result: right } = await call("check-key-password", { xpub, password: required(secret) });
      if (!right) throw new Wrong(secret, "That is not its password");
      return `The password of “${alias}” is right`;
    },
  });
}

export function changePassword({ alias, xpub }) {
  const old = password();
  const next = newPassword("New password");
  ask({
    title: `Change the password of “${alias}”`,
    says: "Copies of the key made earlier, as in backups, keep the old one.",
    fields: [field("Present password", old), next.fields],
    submit: "Change password",
    act: async () => {
      const { changed } = await call("reset-key-password", {
        xpub,
        old_password: required(old),
        new_password: next.value(),
      });
      if (!changed) throw new Wrong(old, "That is not its password");
      return `The password of “${alias}” is changed`;
    },
  });
}

export function renameKey({ alias, xpub }) {
  const name = input({ value: alias });
  ask({
    title: `Rename “${alias}”`,
    fields: [field("New alias", name)],
    submit: "Rename",
    act: async () => {
      const next = required(name);
      await call("update-key-alias", { xpub, new_alias: next });
      await refreshBook();
      return `“${alias}” is now “${next}”`;
    },
  });
}

export function deleteKey({ alias, xpub }) {
  const secret = password();
  const sure = check("I have its recovery words or a backup");
  ask({
    title: `Delete “${alias}”`,
    says: "The key leaves this node. Its accounts stay but cannot sign any more until it is imported again.",
    fields: [sure, field("Password", secret)],
    submit: "Delete key",
    danger: true,
    act: async () => {
      if (!sure.box.checked) throw new Wrong(secret, "Tick the box above first");
      await call("delete-key", { xpub, password: required(secret) });
      await refreshBook();
      return `Key “${alias}” deleted`;
    },
  });
}

// a password that is typed twice, for it cannot be read while it is typed
function newPassword(label = "Password") {
  const first = password({ autocomplete: "new-password" });
  const second = password({ autocomplete: "new-password" });
  return {
    fields: [
      field(label, first, { hint: `At least ${GOOD_LENGTH} characters protect the key’s file if it is stolen.` }),
      field("The same again", second),
    ],
    value() {
      const value = first.value;
      if (!value) throw new Wrong(first, "Choose a password");
      if (second.value !== value) throw new Wrong(second, "The two differ");
      return value;
    },
  };
}
