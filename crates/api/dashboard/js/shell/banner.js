// The line above the page while the node does not answer: since when, what is still shown, when it is tried again.

import { h, put } from "../base/dom.js";
import { dateTime, duration } from "../base/format.js";
import { hurry, link } from "../node/pulse.js";

export function banner() {
  const place = h("div", { role: "status" });
  const words = h("span");
  const count = () => {
    const { state, since, retryAt } = link.value;
    if (state !== "down") return;
    const wait = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const gone = duration(Date.now() - since);
    put(
      words,
      `since ${dateTime(since)} (${gone}). What is shown below is from then. ${wait ? `Next try in ${wait} s.` : "Trying…"}`,
    );
  };
  const show = ({ state, failure }) => {
    put(
      place,
      state === "down" &&
        h("div.banner.bad", h("b", failure.msg), words, h("button", { type: "button", onclick: hurry }, "Try now")),
    );
    count();
  };
  link.subscribe(show);
  setInterval(count, 1000);
  return place;
}
