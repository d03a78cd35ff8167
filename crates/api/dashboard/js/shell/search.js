// One box for everything that has a name or a number. "/" puts the cursor there.

import { h } from "../base/dom.js";
import { go } from "./router.js";

export function search({ inRooms = false } = {}) {
  const box = h("input", {
    type: "search",
    placeholder: "Height, hash, address, account",
    "aria-label": "Find a block, transaction, address or account",
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
  });
  const form = h(`form.search${inRooms ? ".in-rooms" : ""}`, { role: "search" }, box);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = box.value.trim();
    if (!wanted) return;
    box.value = "";
    box.blur();
    go("search", wanted);
  });
  if (!inRooms) {
    document.addEventListener("keydown", (event) => {
      if (
        event.key !== "/" ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        event.target.closest("input, textarea, select, dialog")
      )
        return;
      event.preventDefault();
      box.focus();
    });
  }
  return form;
}
