// Pages and their sections.

import { h } from "../base/dom.js";

/** @param options { note: a line on what this page is for, acts: buttons } */
export function sheet(title, { note, acts = [] } = {}, ...children) {
  return {
    title,
    element: h("div.page", h("div.page-head", h("h1", title), acts, note && h("p.note", note)), children),
  };
}

/** A page whose first section says what its title would. */
export function bareSheet(title, ...children) {
  return { title, element: h("div.page", h("h1.only-heard", title), children) };
}

/** @param options { note, acts, flush: without padding, for tables and facts } */
export function section(title, options, ...children) {
  const { note, acts = [], flush = true } = options ?? {};
  return h(
    "section.section",
    h("header", h("h2", title), note && h("span.note", note), acts),
    h(`div.section-body${flush ? ".flush" : ""}`, children),
  );
}

/** @param entries [[address, words, isHere], …] */
export function tabs(label, entries) {
  return h(
    "nav.tabs",
    { "aria-label": label },
    entries.map(([href, words, here]) => h("a", { href, "aria-current": here && "page" }, words)),
  );
}
