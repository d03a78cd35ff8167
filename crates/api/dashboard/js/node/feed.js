// The node's pushes over /websocket-subscribe. It only tells that something happened; whoever listens asks for the rest.

import { hexOfText } from "../base/format.js";
import { signal } from "../base/signal.js";
import { parse } from "../base/json.js";
import { ROOT } from "./call.js";
import { token } from "./session.js";

const FIRST_RETRY_MS = 1000;
const SLOWEST_RETRY_MS = 30_000;
const TOPICS = ["notify_raw_blocks", "notify_new_transactions"];

/** "live" | "polling": polling means that there is no feed just now. */
export const feed = signal("polling");

let listener = {};
let socket = null;
let timer = null;
let retry = 0;

/** @param next { block(rawHex), undone(), transaction() } */
export function onFeed(next) {
  listener = next;
}

/**
 * Opens the feed unless it is open or about to be: whenever the node answered and let us in.
 */
export function keepFeed() {
  if (!socket && timer === null) open();
}

export function closeFeed() {
  clearTimeout(timer);
  timer = null;
  const old = socket;
  socket = null;
  old?.close();
  retry = 0;
  feed.set("polling");
}

function open() {
  timer = null;
  const mine = (socket = new WebSocket(address(), protocols()));
  mine.onopen = () => TOPICS.forEach((topic) => mine.send(JSON.stringify({ topic })));
  mine.onmessage = ({ data }) => mine === socket && heard(data);
  mine.onclose = () => mine === socket && closed();
}

function closed() {
  socket = null;
  feed.set("polling");
  const wait = Math.min(SLOWEST_RETRY_MS, FIRST_RETRY_MS * 2 ** retry) * (0.75 + Math.random() / 2);
  retry += 1;
  timer = setTimeout(open, wait);
}

function heard(data) {
  const message = messageFrom(data);
  if (!message) return;
  // too many to be told of one by one: whoever listens asks anyway
  if (message.notification_type === "notifications_dropped") return listener.transaction();
  if (message.error_detail) return;
  retry = 0;
  feed.set("live");
  if (message.notification_type === "raw_blocks_connected") listener.block(message.data);
  if (message.notification_type === "raw_blocks_disconnected") listener.undone();
  if (message.notification_type === "new_transaction") listener.transaction();
}

function messageFrom(data) {
  try {
    return parse(data);
  } catch {
    return null;
  }
}

function address() {
  const url = new URL("websocket-subscribe", ROOT);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

// A page can give a WebSocket no header but this one, so the token travels in it. A node that does not know it refuses, and
// the page goes on by asking.
function protocols() {
  return token.value ? ["baton", `basic.${hexOfText(token.value)}`] : [];
}
