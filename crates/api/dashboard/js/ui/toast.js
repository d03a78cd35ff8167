// A line that says what just happened, for as long as it takes to read it. Read out by screen readers.

import { h } from "../base/dom.js";

const SHOWN_MS = 6000;
const area = h("div.toasts", { role: "status", "aria-live": "polite", popover: "manual" });

export const toasts = area;

export function toast(message, level = "ok") {
  const line = h(`div.toast.${level}`, message);
  area.append(line);
  raise();
  setTimeout(() => {
    line.remove();
    if (!area.childElementCount) area.hidePopover?.();
  }, SHOWN_MS);
}

// a popover lies above the dialogs that were opened before it
function raise() {
  if (!area.showPopover) return;
  if (area.matches(":popover-open")) area.hidePopover();
  area.showPopover();
}
