// A line that says what just happened, for as long as it takes to read it. Read out by screen readers.

import { h } from "../base/dom.js";

const SHOWN_MS = 6000;
const area = h("div.toasts", { role: "status", "aria-live": "polite" });

export const toasts = area;

export function toast(message, level = "ok") {
  const line = h(`div.toast.${level}`, message);
  area.append(line);
  setTimeout(() => line.remove(), SHOWN_MS);
}
