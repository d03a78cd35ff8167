// Blocks, a line each; with the time since the one before, so that a slow block is seen.

import { h } from "../base/dom.js";
import { bytes, dateAndTime, dateTime, seconds } from "../base/format.js";
import { to } from "../shell/router.js";
import { table } from "./table.js";
import { ago, hash } from "./value.js";

/** @returns { element, update(lines, shown) } for lines that run downwards; the time since the block before is reckoned from the next line */
export function blockTable({ caption, full = false }) {
  const inner = table(
    [
      { head: "Height", class: "num", cell: (line) => h("a", { href: to("block", line.height) }, String(line.height)) },
      full
        ? { head: "Time", cell: (line) => timeCell(line.time) }
        : { head: "Age", class: "num", cell: (line) => ago(line.time) },
      {
        head: "After",
        class: "num wide",
        cell: (line) => (line.gap === null ? h("span.faint", "–") : seconds(line.gap)),
      },
      { head: "Transactions", class: "num", cell: (line) => String(line.count) },
      { head: "Size", class: "num wide", cell: (line) => bytes(line.size) },
      { head: "Proposer", class: "grow wide", cell: (line) => hash(line.validator, { copy: false }) },
      {
        head: "Hash",
        class: "grow",
        cell: (line) => hash(line.hash, { href: to("block", line.hash), what: "the block’s hash" }),
      },
    ],
    { caption, key: (line) => line.hash },
  );
  const update = (lines, shown = lines.length) =>
    inner.update(
      lines.slice(0, shown).map((line, index) => {
        const below = lines[index + 1];
        return { ...line, gap: below && below.height > 0 ? line.time - below.time : null };
      }),
    );
  return { element: inner.element, update };
}

function timeCell(ms) {
  const [date, time] = dateAndTime(ms);
  return h("span.number", { title: dateTime(ms) }, h("span.wide", `${date} `), time);
}
