// Signing in, when the node asks for it. The token is tried before it is kept.

import { h } from "../base/dom.js";
import { call } from "../node/call.js";
import { refusal, signIn } from "../node/session.js";
import { openDialog } from "../ui/dialog.js";
import { check, field, form, password, required, Wrong } from "../ui/form.js";
import { problem } from "../ui/problem.js";

export function watchLogin() {
  let dialog = null;
  refusal.subscribe((failure) => {
    if (failure && !dialog) {
      dialog = openDialog({
        title: "Sign in to this node",
        content: content(failure),
        sticky: true,
        onclose: () => (dialog = null),
      });
    }
    if (!failure) dialog?.close();
  });
}

function content(failure) {
  const token = password({ name: "token", placeholder: "id:secret", class: "mono" });
  const show = check("Show what I paste", { onchange: () => (token.type = show.box.checked ? "text" : "password") });
  const old = /invalid token/i.test(failure.detail ?? "");
  return [
    h(
      "p",
      "It answers only with an access token. The token stays in this browser tab and is forgotten when the tab closes.",
    ),
    old && problem(failure),
    form({
      fields: [
        field("Access token", token, {
          hint: "As batoncli create-access-token NAME prints it on the node’s machine: name, colon, secret.",
        }),
        show,
      ],
      submit: "Sign in",
      act: async () => {
        const value = required(token, "Paste the token");
        if (!/^[\w-]+:\S+$/.test(value)) throw new Wrong(token, "A token has the form id:secret");
        await call("net-info", {}, { bearer: value });
        signIn(value);
      },
    }),
  ];
}
