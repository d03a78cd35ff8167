// The page: what is known, and when it is drawn anew.

import { cards, verdict } from "./cards.js";
import { drawCards, drawEvents } from "./draw.js";
import { listen } from "./feed.js";
import { Pace } from "./pace.js";
import { instant, span } from "./words.js";

/** How many events can be scrolled back to. */
const KEPT = 500;

const known = { news: null, skew: 0, gone: null, pace: new Pace(), records: [] };
const at = (id) => document.getElementById(id);
let due = false;
let eventsDue = true;

/** The supervisor's time: the reader's clock may be another. */
const now = () => Date.now() + known.skew;

/** Draws once for all that comes within a frame. */
function draw() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    drawHead();
    if (known.news) drawCards(at("cards"), cards(known.news.status, known.pace, now()));
    if (eventsDue) {
      eventsDue = false;
      const wanted = FILTERS[at("which").value];
      drawEvents(at("events"), known.records.filter(wanted).map(shown).reverse());
    }
  });
}

function drawHead() {
  const { news, gone } = known;
  at("link").textContent = gone ? "no answer" : news ? "live" : "connecting";
  at("link").className = gone ? "bad" : news ? "good" : "";
  at("clock").textContent = `${instant(now()).slice(11)} UTC`;
  at("gone").hidden = !gone;
  if (gone) {
    const since = span(Date.now() - gone.since);
    put("gone", `The supervisor has not answered for ${since}. It is asked again and again; below is what was known last.`);
  }
  if (!news) return;
  const { supervisor } = news.status;
  document.title = `${news.headline} – ${supervisor.name}`;
  put("name", supervisor.name);
  put("home", supervisor.home);
  put("headline", news.headline.replace(/^./, (first) => first.toUpperCase()));
  at("headline").className = verdict(news.status);
}

/** Only what is another text is set: a reader of screens reads what is set. */
function put(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

const FILTERS = {
  all: () => true,
  upgrades: ({ kind }) => /^(upgrade|plan|prefetch|backup|node-changed|handing|handover|rolled|batch)/.test(kind),
  troubles: ({ what_to_do: todo }) => todo !== null,
};

const TONES = [
  [/^(upgrade-confirmed|node-started|node-changed|prefetch-finished|backup-made)$/, "good"],
  [/^(upgrade|handing-over|plan-seen|prefetch-started)/, "busy"],
  [/^(node-restarting|warning|node-killed)$/, "warn"],
];

function shown({ time, kind, text, what_to_do: todo }) {
  const tone = TONES.find(([kinds]) => kinds.test(kind))?.[1] ?? "";
  return {
    at: time,
    instant: instant(time),
    kind,
    tone: todo !== null && tone !== "warn" ? "bad" : tone,
    text: todo ? `${text} – to do: ${todo}` : text,
  };
}

listen("events", {
  live() {
    known.gone = null;
    draw();
  },
  gone() {
    known.gone ??= { since: Date.now() };
    draw();
  },
  status(news) {
    known.news = news;
    known.skew = Date.parse(news.now) - Date.now();
    known.pace.see(news.status.node.height, news.status.node.height_at);
    draw();
  },
  record(record) {
    // After a restart the history may be told again.
    if (known.records.some(({ seq }) => seq === record.seq)) return;
    known.records.push(record);
    if (known.records.length > KEPT) known.records.shift();
    eventsDue = true;
    draw();
  },
});
at("which").addEventListener("change", () => {
  eventsDue = true;
  draw();
});
// Times go on, but only while somebody looks.
setInterval(() => document.hidden || draw(), 1000);
