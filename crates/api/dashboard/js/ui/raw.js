// Long raw text: its beginning to look at, all of it to copy or to save.

import { h } from "../base/dom.js";
import { copyButton } from "./copy.js";
import { save } from "./save.js";

const SHOWN = 20_000;

/** @param name of the file that it is saved as */
export function raw(text, name) {
  const rest = text.length - SHOWN;
  return h(
    "div.raw",
    h(
      "div.raw-acts",
      h("span.note", `${text.length.toLocaleString("en")} characters`),
      copyButton(text),
      h("button", { type: "button", onclick: () => save(text, name) }, "Save"),
    ),
    h(
      "pre",
      { tabindex: "0" },
      text.slice(0, SHOWN),
      rest > 0 && h("span.faint", `\n… ${rest.toLocaleString("en")} characters more`),
    ),
  );
}
