// Modal dialogs, by the browser's own <dialog>: it holds the focus, Escape closes it, and the focus goes back.

import { h } from "../base/dom.js";
import { icon } from "./icons.js";

/**
 * @param options { title, content: element(s), sticky: only a button of the content closes it, onclose }
 * @returns { close, element }
 */
export function openDialog({ title, content, sticky = false, onclose, wide = false }) {
  const name = `dialog-${(count += 1)}`;
  const closing =
    !sticky &&
    h(
      "button.quiet.dialog-close",
      { type: "button", "aria-label": "Close", onclick: () => element.close() },
      icon("close"),
    );
  const element = h(
    `dialog${wide ? ".wide" : ""}`,
    { "aria-labelledby": name },
    h("header", h("h2", { id: name }, title), closing),
    h("div.dialog-body", content),
  );
  element.addEventListener("cancel", (event) => sticky && event.preventDefault());
  element.addEventListener("close", () => {
    element.remove();
    onclose?.();
  });
  document.body.append(element);
  element.showModal();
  // what is to be filled in comes first, not the button that closes
  element.querySelector(".dialog-body :is(input, select, textarea, button.primary):not(:disabled)")?.focus();
  return { element, close: () => element.close() };
}

let count = 0;

/** A dialog is about the page below it: it goes when that page goes. */
export function closeDialogs() {
  for (const element of document.querySelectorAll("dialog[open]")) element.close();
}
