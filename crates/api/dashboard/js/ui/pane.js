// A part of a page that comes from the node, and its faces: waiting, refused, there. What was shown stays while it is asked
// for again, and when that fails; the failure is told above it.

import { h, put } from "../base/dom.js";
import { stringify } from "../base/json.js";
import { problem } from "./problem.js";

/**
 * @param scope ends it
 * @param load (AbortSignal) => data
 * @param build (data) => { element, update(data) } | element; an element is built anew for each change of the data
 * @param options { on: signals that make it load again, waiting: what stands there at first }
 * @returns an element with a method `reload`
 */
export function pane(scope, load, build, { on = [], waiting = skeleton() } = {}) {
  const trouble = h("div.pane-trouble");
  const body = h("div.pane-body", { "aria-busy": "true" }, waiting);
  const element = h("div.pane", trouble, body);
  let shown = null;
  let last = null;
  let running = false;
  let stale = false;

  async function reload() {
    if (running) {
      stale = true;
      return;
    }
    running = true;
    try {
      do {
        stale = false;
        const data = await load(scope.signal);
        if (!scope.alive) return;
        show(data);
      } while (stale);
      put(trouble);
    } catch (failure) {
      if (!scope.alive) return;
      if (failure.name !== "Failure") console.error(failure);
      if (!shown) put(body);
      put(trouble, problem(failure, reload));
    } finally {
      running = false;
      body.removeAttribute("aria-busy");
    }
  }

  function show(data) {
    if (shown?.update) return shown.update(data);
    const now = stringify(data);
    if (shown && now === last) return;
    last = now;
    const built = build(data);
    shown = built instanceof Node ? { element: built } : built;
    put(body, shown.element);
    if (shown.update) shown.update(data);
  }

  for (const source of on) scope.after(source, reload);
  reload();
  return Object.assign(element, { reload });
}

export function skeleton(lines = 3) {
  return h(
    "div.skeleton",
    { role: "status", "aria-label": "Loading" },
    Array.from({ length: lines }, () => h("span.bone")),
  );
}

/** What stands where there is nothing yet: what it would be, and how to get it. */
export function empty(title, ...how) {
  return h("div.empty", h("p.empty-title", title), how.length > 0 && h("p.empty-how", how));
}
