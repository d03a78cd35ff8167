// A list that the node hands out in pieces. One more than fits is asked for, to know whether there is a next piece.

import { h, put } from "../base/dom.js";
import { icon } from "./icons.js";
import { pane } from "./pane.js";

const SIZE = 50;

/**
 * @param load (from, count, AbortSignal) => items
 * @param list { element, update(items) }, as table() gives it
 * @param options { on: signals, size }
 */
export function pagedPane(scope, load, list, { on = [], size = SIZE } = {}) {
  let from = 0;
  const where = h("span.where");
  const back = h("button", { type: "button", onclick: () => turn(-size) }, icon("left"), "Newer");
  const forth = h("button", { type: "button", onclick: () => turn(size) }, "Older", icon("right"));
  const bar = h("div.pager", { hidden: true }, where, back, forth);
  const build = () => ({
    element: h("div", list.element, bar),
    update(items) {
      list.update(items.slice(0, size));
      bar.hidden = from === 0 && items.length <= size;
      back.disabled = from === 0;
      forth.disabled = items.length <= size;
      put(where, items.length ? `${from + 1} – ${from + Math.min(items.length, size)}` : "nothing further");
    },
  });
  const element = pane(scope, (signal) => load(from, size + 1, signal).then((items) => items ?? []), build, { on });

  function turn(by) {
    from = Math.max(0, from + by);
    element.reload();
  }

  return Object.assign(element, {
    restart() {
      from = 0;
      element.reload();
    },
  });
}

/** A long list that is here already, shown in pieces. @returns { element, update(items) } */
export function piecewise(list, size = 100) {
  let from = 0;
  let items = [];
  const where = h("span.where");
  const back = h("button", { type: "button", onclick: () => show(from - size) }, icon("left"), "Back");
  const forth = h("button", { type: "button", onclick: () => show(from + size) }, "On", icon("right"));
  const bar = h("div.pager", where, back, forth);

  function show(next) {
    from = Math.max(0, Math.min(next, Math.floor(Math.max(0, items.length - 1) / size) * size));
    list.update(items.slice(from, from + size));
    bar.hidden = items.length <= size;
    back.disabled = from === 0;
    forth.disabled = from + size >= items.length;
    put(where, `${from + 1} – ${Math.min(from + size, items.length)} of ${items.length}`);
  }

  return {
    element: h("div", list.element, bar),
    update(next) {
      items = next;
      show(from);
    },
  };
}
