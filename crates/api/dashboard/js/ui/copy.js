// Copying to the clipboard, which says that it happened. Without a secure context there is no clipboard API; then the
// text is selected, so that one key press copies it.

import { h, put } from "../base/dom.js";
import { icon } from "./icons.js";
import { toast } from "./toast.js";

const SHOWN_MS = 1500;

export function copyButton(value, what = "") {
  const button = h(
    "button.copy",
    { type: "button", title: `Copy ${what}`.trim(), "aria-label": `Copy ${what}`.trim() },
    icon("copy"),
  );
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (!(await copy(typeof value === "function" ? value() : value)))
      return toast("Copying is blocked here: select the text and copy it", "warn");
    put(button, icon("done"));
    setTimeout(() => put(button, icon("copy")), SHOWN_MS);
  });
  return button;
}

async function copy(value) {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    return copyOldWay(value);
  }
}

function copyOldWay(value) {
  const field = h("textarea.offscreen", { value, readonly: true });
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  return copied;
}
