// Asks before what cannot be undone, and says what will happen.

import { h } from "../base/dom.js";
import { openDialog } from "./dialog.js";
import { form } from "./form.js";
import { toast } from "./toast.js";

/**
 * @param options { title, says: what will happen, fields, submit, danger, act: async () => the line that says what happened }
 */
export function ask({ title, says, fields = [], submit, danger = false, act }) {
  const dialog = openDialog({
    title,
    content: [
      says && h("p", says),
      form({
        fields,
        submit,
        danger,
        secondary: h("button.quiet", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        act: async () => {
          const done = await act();
          dialog.close();
          if (done) toast(done);
        },
      }),
    ],
  });
}
