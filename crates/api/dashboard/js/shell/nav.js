// The rooms at the side; on a narrow screen they slide in from the menu button.

import { h, put } from "../base/dom.js";
import { net, pool, wallet } from "../node/pulse.js";
import { HOME_OF, ROOMS } from "./rooms.js";
import { route, to } from "./router.js";
import { search } from "./search.js";

export function nav() {
  const links = new Map();
  const headings = new Map();
  const heading = (group) => {
    headings.set(group, h("h2", group));
    return headings.get(group);
  };
  const entry = ([name, words]) => {
    const count = h("span.count");
    const link = h("a", { href: to(name) }, words, count);
    links.set(name, { link, count });
    return h("li", link);
  };
  const element = h(
    "aside.rooms",
    { id: "rooms" },
    h(
      "nav",
      { "aria-label": "Pages" },
      search({ inRooms: true }),
      ROOMS.map(([group, entries]) => [group && heading(group), h("ul", entries.map(entry))]),
    ),
  );

  const mark = ({ name }) => {
    const here = HOME_OF[name] ?? name;
    for (const [room, { link }] of links) {
      if (room === here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  route.subscribe(mark);
  mark(route.value);
  wallet.subscribe((now) => put(headings.get("Wallet"), now === false ? "Wallet (off)" : "Wallet"));
  net.subscribe((now) => put(links.get("peers").count, String(now?.peer_count ?? "")));
  pool.subscribe((now) => put(links.get("pool").count, String(now?.total ?? "")));

  return { element, ...opening(element) };
}

function opening(element) {
  const listeners = [];
  const set = (open) => {
    element.classList.toggle("open", open);
    for (const listener of listeners) listener(open);
    if (open) element.querySelector("input, a").focus();
  };
  const isOpen = () => element.classList.contains("open");
  document.addEventListener("keydown", (event) => event.key === "Escape" && isOpen() && set(false));
  document.addEventListener("click", (event) => {
    if (isOpen() && !element.contains(event.target) && !event.target.closest(".menu-button")) set(false);
  });
  return {
    toggle: () => set(!isOpen()),
    close: () => isOpen() && set(false),
    onToggle: (listener) => listeners.push(listener),
  };
}
