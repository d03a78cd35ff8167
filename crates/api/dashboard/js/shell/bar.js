// The bar: which node, how high, how fresh; search; light or dark; signing out.

import { h, put } from "../base/dom.js";
import { signal } from "../base/signal.js";
import { NAMESPACE } from "../node/call.js";
import { feed } from "../node/feed.js";
import { link, net, tip } from "../node/pulse.js";
import { signOut, token } from "../node/session.js";
import { icon } from "../ui/icons.js";
import { ago, state } from "../ui/value.js";
import { search } from "./search.js";
import { to } from "./router.js";

const SCHEMES = ["system", "light", "dark"];

export function bar(rooms) {
  return h(
    "header.bar",
    menuButton(rooms),
    h(
      "a.brand",
      { href: to("overview") },
      h("span.name", "batond"),
      live([net], () => h("span.network", net.value?.network_id ?? "", NAMESPACE && ` / ${NAMESPACE}`)),
    ),
    live(
      [tip],
      () =>
        tip.value && [
          h("span.vital", h("span.words", "height"), h("b", { id: "height" }, String(tip.value.height))),
          tip.value.height > 0 &&
            tip.value.time &&
            h("span.vital", h("span.words", "last block"), h("b", ago(tip.value.time)), h("span.words", "ago")),
        ],
    ),
    live([link, feed], () => h("span.vital", { id: "feed" }, connection())),
    search(),
    h(
      "div.bar-buttons",
      schemeButton(),
      live([token], () => token.value && h("button.quiet", { type: "button", onclick: signOut }, "Sign out")),
    ),
  );
}

function connection() {
  const { state: now } = link.value;
  if (now === "down") return state("bad", "no answer");
  if (now === "locked") return state("warn", "signed out");
  if (now === "connecting") return state("idle", "connecting");
  return feed.value === "live" ? state("ok", "live") : state("idle", "polling");
}

function menuButton(rooms) {
  const button = h(
    "button.quiet.menu-button",
    {
      type: "button",
      "aria-label": "Menu",
      "aria-expanded": "false",
      "aria-controls": "rooms",
      onclick: () => rooms.toggle(),
    },
    icon("menu"),
  );
  rooms.onToggle((open) => button.setAttribute("aria-expanded", String(open)));
  return button;
}

function schemeButton() {
  const chosen = signal(window.batonScheme.get());
  const button = h(
    "button.quiet",
    { type: "button", onclick: () => chosen.set(SCHEMES[(SCHEMES.indexOf(chosen.value) + 1) % SCHEMES.length]) },
    icon("scheme"),
  );
  const say = (scheme) => {
    const words = `Colours: ${scheme === "system" ? "as the system" : scheme}`;
    button.title = words;
    button.setAttribute("aria-label", words);
  };
  chosen.subscribe((scheme) => {
    window.batonScheme.set(scheme);
    say(scheme);
  });
  say(chosen.value);
  return button;
}

// a piece of the bar that is drawn anew when one of its signals changes
function live(sources, draw) {
  const place = h("span.live-piece");
  const again = () => put(place, draw());
  for (const source of sources) source.subscribe(again);
  again();
  return place;
}
