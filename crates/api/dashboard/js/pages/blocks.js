// All blocks, newest first. On the newest piece the list moves with the chain; an older piece stands still.

import { h, put } from "../base/dom.js";
import { known } from "../base/signal.js";
import { linesBelow } from "../node/chain.js";
import { tip } from "../node/pulse.js";
import { go, to } from "../shell/router.js";
import { blockTable } from "../ui/blocktable.js";
import { icon } from "../ui/icons.js";
import { section, sheet } from "../ui/layout.js";
import { pane } from "../ui/pane.js";

const SIZE = 30;

export function page(scope, _, query) {
  const fixed = /^\d+$/.test(query.get("from") ?? "") ? Number(query.get("from")) : null;
  const list = blockTable({ caption: "Blocks", full: true });
  const bar = h("div.pager");
  const load = async (signal) => {
    const { height } = await known(tip);
    const top = fixed === null ? height : Math.min(fixed, height);
    // one more than is shown, so that the last has a time since the one before
    return { top, height, lines: await linesBelow(top, SIZE + 1, { signal }) };
  };
  const build = () => ({
    element: h("div", list.element, bar),
    update({ top, height, lines }) {
      list.update(lines, SIZE);
      put(bar, pagerOf(top, height));
    },
  });
  return sheet(
    "Blocks",
    {},
    section(
      fixed === null ? "Newest" : `From ${fixed} down`,
      { acts: jump() },
      pane(scope, load, build, { on: [tip] }),
    ),
  );
}

function pagerOf(top, height) {
  const newer = top + SIZE >= height ? to("blocks") : to("blocks", "", { from: top + SIZE });
  const older = to("blocks", "", { from: top - SIZE });
  return [
    h("span.where", `${top} – ${Math.max(0, top - SIZE + 1)} of ${height}`),
    top < height && h("a.button", { href: newer }, icon("left"), "Newer"),
    top >= SIZE && h("a.button", { href: older }, "Older", icon("right")),
  ];
}

function jump() {
  const height = h("input", {
    type: "text",
    inputmode: "numeric",
    placeholder: "Height",
    "aria-label": "Go to height",
    class: "jump",
  });
  const form = h("form.inline", height, h("button", { type: "submit" }, "Go"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (/^\d+$/.test(height.value.trim())) go("blocks", "", { from: height.value.trim() });
    else height.focus();
  });
  return form;
}
