// How single values look: hashes, amounts, times, states.

import { BTM, decimal, split } from "../base/amount.js";
import { h } from "../base/dom.js";
import { dateTime, duration, toMs } from "../base/format.js";
import { assetOf } from "../node/book.js";
import { now } from "../node/call.js";
import { copyButton } from "./copy.js";

/**
 * A long hexadecimal value or address: as much of it as there is room for, always its end, and whole when copied.
 * @param options { href, what, copy }
 */
export function hash(value, { href, what = "", copy = true } = {}) {
  if (!value) return h("span.faint", "–");
  const parts = [h("span.head", value.slice(0, -6)), h("span.tail", value.slice(-6))];
  const body = href ? h("a.hash", { href, title: value }, parts) : h("span.hash", { title: value }, parts);
  return copy ? h("span.copyable", body, copyButton(value, what)) : body;
}

/** An amount with its asset. Its text is exact and plain, whatever the spacing. */
export function money(amount, assetId = BTM, { unit = true } = {}) {
  const asset = assetOf(assetId);
  const { sign, whole, part } = split(amount, asset.decimals);
  const quiet = part.length - part.replace(/0+$/, "").length;
  const loud = part.slice(0, part.length - quiet);
  return h(
    "span.money",
    { title: `${decimal(amount, asset.decimals)} ${asset.alias ?? asset.id}` },
    sign,
    groups(whole),
    part && [h("span", loud ? `.${loud}` : ""), h("span.faint", `${loud ? "" : "."}${part.slice(loud.length)}`)],
    unit && h("span.unit", ` ${unitOf(asset)}`),
  );
}

export const unitOf = (asset) => asset.alias ?? `${asset.id.slice(0, 6)}…`;

// thousands are set apart by a margin, not by a character that would be copied along
function groups(whole) {
  const first = whole.length % 3 || 3;
  const rest = whole.slice(first).match(/\d{3}/g) ?? [];
  return [whole.slice(0, first), ...rest.map((group) => h("span.group", group))];
}

/** How long ago, counting on by itself; the exact time on hover. */
export function ago(ms) {
  if (!ms) return h("span.faint", "–");
  const time = toMs(ms);
  return h(
    "time.ago",
    { datetime: new Date(time).toISOString(), title: dateTime(time), "data-at": time },
    sinceText(time),
  );
}

const sinceText = (time) => duration(Math.max(0, now() - time));

/** Lets all the times on the page count on. */
export function keepTime() {
  setInterval(() => {
    for (const element of document.querySelectorAll("time.ago")) {
      const next = sinceText(Number(element.dataset.at));
      if (element.textContent !== next) element.textContent = next;
    }
  }, 1000);
}

export function when(ms) {
  return ms ? h("span.when", dateTime(toMs(ms)), " ", h("span.faint", "(", ago(ms), " ago)")) : h("span.faint", "–");
}

/** A state as a dot and a word; colour never stands alone. level: ok, idle, warn, bad. */
export const state = (level, ...words) => h(`span.state.${level}`, words);

export const tag = (...words) => h("span.tag", words);
