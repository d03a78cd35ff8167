// Access tokens: who may use the API from another machine.

import { h } from "../base/dom.js";
import { signal } from "../base/signal.js";
import { call } from "../node/call.js";
import { ask } from "../ui/confirm.js";
import { copyButton } from "../ui/copy.js";
import { openDialog } from "../ui/dialog.js";
import { field, input, required, Wrong } from "../ui/form.js";
import { section, sheet } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { table } from "../ui/table.js";
import { when } from "../ui/value.js";

const changed = signal(0);
const bump = () => changed.set(changed.value + 1);

export function page(scope) {
  const list = table(
    [
      { head: "Name", cell: ({ id }) => h("b", id) },
      { head: "Type", class: "wide", cell: ({ type }) => type || h("span.faint", "–") },
      { head: "Created", cell: ({ created_at: at }) => when(Date.parse(at)) },
      {
        head: "",
        class: "acts",
        cell: ({ id }) => [
          h("button", { type: "button", onclick: () => checkToken(id) }, "Check"),
          h("button", { type: "button", onclick: () => remove(id) }, "Delete"),
        ],
      },
    ],
    {
      caption: "Access tokens",
      key: ({ id }) => id,
      none: empty("No tokens", "Requests from this machine itself need none. From elsewhere every request needs one."),
    },
  );
  // the secrets, which some nodes list, are no business of this page
  const load = async (abort) =>
    ((await call("list-access-tokens", {}, { signal: abort })) ?? []).map(({ id, type, created_at: at }) => ({
      id,
      type,
      created_at: at,
    }));
  return sheet(
    "Access tokens",
    {
      acts: h("button.primary", { type: "button", onclick: create }, "New token"),
      note: "A token lets a client in from another machine, by HTTP Basic: its name is the user, its secret the password.",
    },
    section(
      "Tokens",
      {},
      pane(scope, load, () => list, { on: [changed] }),
    ),
  );
}

function create() {
  const id = input();
  const type = input({ value: "client" });
  ask({
    title: "New token",
    fields: [
      field("Name", id, { hint: "Letters, digits, _ and -" }),
      field("Type", type, { hint: "A note for yourself" }),
    ],
    submit: "Create token",
    act: async () => {
      const name = required(id);
      if (!/^[\w-]+$/.test(name)) throw new Wrong(id, "Only letters, digits, _ and -");
      const made = await call("create-access-token", { id: name, type: type.value.trim() });
      bump();
      showSecret(made);
    },
  });
}

function showSecret({ id, token }) {
  const dialog = openDialog({
    title: `Token “${id}” created`,
    sticky: true,
    content: [
      h("div.caution", h("p", "Copy it now: it may not be shown again. Whoever has it can do all that this page can.")),
      h("div.secret", h("code", token), copyButton(token, "the token")),
      h("div.form-actions", h("button.primary", { type: "button", onclick: () => dialog.close() }, "Done")),
    ],
  });
}

function checkToken(id) {
  const secret = input({ type: "password", class: "mono" });
  ask({
    title: `Check the token “${id}”`,
    fields: [field("Secret", secret, { hint: "The part after the colon, or the whole token" })],
    submit: "Check",
    act: async () => {
      await call("check-access-token", { id, secret: required(secret).replace(`${id}:`, "") });
      return `The token “${id}” is right`;
    },
  });
}

function remove(id) {
  ask({
    title: `Delete the token “${id}”`,
    says: "Clients that use it are refused from then on.",
    submit: "Delete token",
    danger: true,
    act: async () => {
      await call("delete-access-token", { id });
      bump();
      return `Token “${id}” deleted`;
    },
  });
}
