// The frame: the bar at the top, the rooms at the side, one page in the middle.

import { h, put } from "../base/dom.js";
import { Scope } from "../base/scope.js";
import { link, net, tip } from "../node/pulse.js";
import { closeDialogs } from "../ui/dialog.js";
import { empty } from "../ui/pane.js";
import { problem } from "../ui/problem.js";
import { toasts } from "../ui/toast.js";
import { bar } from "./bar.js";
import { banner } from "./banner.js";
import { nav } from "./nav.js";
import { loaderOf } from "./rooms.js";
import { route, to } from "./router.js";

export function buildShell(body) {
  const rooms = nav();
  const main = h("main.main", { id: "main", tabindex: "-1" });
  const place = h("div");
  main.append(banner(), place);
  put(
    body,
    h("a.skip", { href: "#main", onclick: (event) => (event.preventDefault(), main.focus()) }, "Skip to the page"),
    h("div.shell", bar(rooms), rooms.element, main),
    toasts,
  );
  link.subscribe(({ state }) => main.classList.toggle("old", state === "down"));
  showPages(place, main, rooms);
}

function showPages(place, main, rooms) {
  let scope = null;
  let title = "";
  const entitle = () => (document.title = titleOf(title));
  for (const source of [link, net, tip]) source.subscribe(entitle);

  async function show(where) {
    scope?.end();
    const mine = (scope = new Scope());
    closeDialogs();
    rooms.close();
    const page = await pageFor(where, mine);
    if (mine !== scope) return;
    title = page.title;
    entitle();
    put(place, page.element);
    if (shown) main.focus({ preventScroll: true });
    shown = true;
    scrollTo(0, 0);
  }

  // the first page leaves the focus at the top of the document
  let shown = false;
  route.subscribe(show);
  show(route.value);
}

async function pageFor({ name, argument, query }, scope) {
  const load = loaderOf(name);
  if (!load)
    return {
      title: "No such page",
      element: h(
        "div.page",
        empty("There is no such page", h("a.button", { href: to("overview") }, "To the overview")),
      ),
    };
  try {
    const module = await load();
    return module.page(scope, argument, query);
  } catch (failure) {
    console.error(failure);
    return {
      title: "Failed",
      element: h(
        "div.page",
        problem(failure, () => location.reload()),
      ),
    };
  }
}

function titleOf(page) {
  if (link.value.state === "down") return `No answer · ${page}`;
  const where = net.value?.network_id ?? "batond";
  return tip.value ? `${where} ${tip.value.height} · ${page}` : `${where} · ${page}`;
}
