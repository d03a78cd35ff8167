// The document. Whatever comes from elsewhere becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Puts cards in the place of those before. */
export function drawCards(into, cards) {
  into.replaceChildren(...cards.map(card));
}

function card({ title, tone = "", rows }) {
  const list = element("dl", "");
  let before = "";
  for (const [key, value, tone = ""] of rows) {
    // A row without a key goes on with the one above; who hears the page is told so.
    const term = element("dt", "", key || (before && element("span", "", "")));
    if (!key) term.setAttribute("aria-label", `${before}, further`);
    before = key || before;
    list.append(term, element("dd", tone, drawn(value)));
  }
  return element("section", `card ${tone}`, element("h2", "", title), list);
}

function drawn(value) {
  if (typeof value === "string") return value;
  if ("pace" in value) return pace(value.pace);
  if ("meter" in value) return meter(value.meter, value.label);
  const step = element("span", "step", element("span", "", value.text));
  const bar = meter(value.step, "share of the longest");
  bar.setAttribute("aria-hidden", "true");
  step.append(bar);
  return step;
}

function meter(share, label) {
  const meter = element("meter", "");
  meter.value = share;
  meter.setAttribute("aria-label", label);
  return meter;
}

/** A graph of block times, the longest at the top. */
function pace(times) {
  const most = Math.max(...times);
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", "pace");
  drawing.setAttribute("viewBox", `0 0 ${times.length} 100`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("role", "img");
  const seconds = (ms) => (ms / 1000).toFixed(1);
  drawing.setAttribute("aria-label", `times of the last blocks: ${seconds(Math.min(...times))} s to ${seconds(most)} s`);
  times.forEach((time, index) => {
    const height = Math.max(2, (time / most) * 100);
    const bar = document.createElementNS(SVG, "rect");
    const place = { x: index + 0.1, y: 100 - height, width: 0.8, height, fill: "currentColor" };
    for (const [name, number] of Object.entries(place)) bar.setAttribute(name, String(number));
    drawing.append(bar);
  });
  return drawing;
}

/** Puts events in the place of those before, newest first. */
export function drawEvents(into, events) {
  const items = events.map(({ at, instant, kind, tone, text }) => {
    const time = element("time", "", instant);
    time.dateTime = at;
    return element("li", "", time, element("span", `kind ${tone}`, kind), element("span", "what", text));
  });
  if (!items.length) items.push(element("li", "", element("span", "quiet", "none yet")));
  into.replaceChildren(...items);
}
