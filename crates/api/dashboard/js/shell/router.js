// Addresses of pages: #/block/12?tab=raw. They work wherever the node serves the page from, and can be sent to a colleague.

import { signal } from "../base/signal.js";

/** { name, argument, query: URLSearchParams } */
export const route = signal(read());

addEventListener("hashchange", () => route.set(read()));

function read() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, argument = ""] = path.split("/").map(decode);
  return { name: name || "overview", argument, query: new URLSearchParams(query) };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a page; entries of the query that are empty are left out. */
export function to(name, argument = "", query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const tail = kept.length ? `?${new URLSearchParams(kept)}` : "";
  return `#/${name}${argument === "" ? "" : `/${encodeURIComponent(argument)}`}${tail}`;
}

export function go(...where) {
  location.hash = to(...where);
}
