// A table that keeps the rows which did not change, so that focus, selection and the eye stay where they are.

import { h, put } from "../base/dom.js";
import { stringify } from "../base/json.js";

/**
 * @param columns [{ head, cell: (item) => child, class?: "num wide" }]; "wide" columns leave narrow screens
 * @param options { caption, key: (item) => string, none: element shown instead of an empty table }
 * @returns { element, update(items) }
 */
export function table(columns, { caption, key, none }) {
  const body = h("tbody");
  const head = h(
    "thead",
    h(
      "tr",
      columns.map((column) => h("th", { scope: "col", class: column.class ?? "" }, column.head)),
    ),
  );
  const frame = h("div.table-frame", h("table", h("caption", caption), head, body));
  const element = h("div");
  let rows = new Map();

  function update(items) {
    const next = new Map();
    for (const item of items) {
      const name = String(key(item));
      const content = stringify(item);
      const old = rows.get(name);
      next.set(name, old?.content === content ? old : { content, row: row(item, old === undefined && rows.size > 0) });
    }
    rows = next;
    arrange(
      body,
      [...rows.values()].map((entry) => entry.row),
    );
    put(element, items.length || !none ? frame : none);
  }

  const row = (item, fresh) =>
    h(
      `tr${fresh ? ".fresh" : ""}`,
      columns.map((column) => h("td", { class: column.class ?? "" }, column.cell(item))),
    );

  return { element, update };
}

// moves only what is out of place: a moved row would lose the focus
function arrange(body, rows) {
  const wanted = new Set(rows);
  for (const old of [...body.children]) if (!wanted.has(old)) old.remove();
  let at = body.firstElementChild;
  for (const row of rows) {
    if (row === at) at = at.nextElementSibling;
    else body.insertBefore(row, at);
  }
}

/** Names and values, one below the other. Entries that are null are left out. */
export function facts(entries) {
  return h(
    "dl.facts",
    entries.filter(Boolean).map(([name, ...value]) => h("div", h("dt", name), h("dd", value))),
  );
}
