// One request to the node: POST /<endpoint> with a JSON body, answered by its envelope.

import { parse, stringify } from "../base/json.js";
import { failureFrom, garbled, late, unreachable } from "./failure.js";
import { authorization, refusal, token } from "./session.js";

const DEADLINE_MS = 30_000;

/** Where the API is: the folder that holds dashboard/. For a namespace that is /ns/<name>/. */
export const ROOT = new URL(location.pathname.replace(/dashboard(\/.*)?$/, ""), location.origin);

/** The namespace that this page is about; null for the one at the root. */
export const NAMESPACE = /\/ns\/([^/]+)\/$/.exec(ROOT.pathname)?.[1] ?? null;

/** How far the node's clock is ahead of ours, in ms, as its answers tell. */
let skew = 0;

/** Now, by the node's clock; ours may be wrong. */
export const now = () => Date.now() + skew;

/**
 * Resolves to the `data` of a success (null if there is none), rejects with a Failure.
 * An AbortError comes through when the caller gives up by `signal`.
 */
export async function call(endpoint, body = {}, { signal, deadline = DEADLINE_MS, bearer } = {}) {
  const used = bearer ?? token.value;
  const { status, text } = await exchange(endpoint, stringify(body), used, signal, deadline);
  const answer = envelope(endpoint, status, text);
  if (answer.status === "success") {
    if (!bearer) refusal.set(null);
    return answer.data ?? null;
  }
  const failure = failureFrom(endpoint, status, answer);
  // a refusal of what only the node's own machine may ask is not cured by a token
  const local = /only local/i.test(failure.detail ?? "");
  if (failure.kind === "locked" && !bearer && !local && used === token.value) refusal.set(failure);
  throw failure;
}

const missing = new Set();

/** What a plain address answers, such as /readyz, whatever its status; null where there is no such thing. */
export async function probe(path) {
  if (missing.has(path)) return null;
  const { text } = await exchange(path, undefined, token.value, undefined, DEADLINE_MS);
  const answer = jsonOf(text);
  const known = answer !== null && typeof answer === "object" && answer.status !== "fail";
  // asked once, for a node does not learn it while it runs; a refusal for want of a token says nothing
  if (!known && !token.value && !refusal.value) missing.add(path);
  return known ? answer : null;
}

/** The answer of an endpoint that not every node has; null where it is missing, or refused. */
export async function optional(endpoint, body, options) {
  if (missing.has(endpoint)) return null;
  try {
    return await call(endpoint, body, options);
  } catch (failure) {
    if (failure.kind !== "refused") throw failure;
    if (isUnknown(failure)) missing.add(endpoint);
    return null;
  }
}

/** Whether the node does not know an endpoint at all. */
export const isUnknown = (failure) =>
  failure.status === 404 ||
  (failure.code === "BTM000" && /not found/i.test(`${failure.detail}`)) ||
  failure.kind === "garbled";

async function exchange(endpoint, body, used, signal, deadline) {
  const clock = AbortSignal.timeout(deadline);
  const controller = new AbortController();
  const stop = () => controller.abort();
  for (const source of [clock, signal]) {
    if (source?.aborted) stop();
    source?.addEventListener("abort", stop, { once: true });
  }
  const credentials = authorization(used);
  try {
    const response = await fetch(new URL(endpoint, ROOT), {
      method: body === undefined ? "GET" : "POST",
      headers: {
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...(credentials && { Authorization: credentials }),
      },
      body,
      cache: "no-store",
      // ours is the only login: the browser must not ask for one of its own
      credentials: "omit",
      signal: controller.signal,
    });
    learnTime(response.headers.get("Date"));
    return { status: response.status, text: await response.text() };
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw clock.aborted ? late(endpoint, deadline) : unreachable(endpoint);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

function envelope(endpoint, status, text) {
  const answer = jsonOf(text);
  if (answer?.status === "success" || answer?.status === "fail") return answer;
  throw garbled(endpoint, status, text);
}

function jsonOf(text) {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    return null;
  }
}

// The header is cut to whole seconds: a difference of less than two says nothing.
function learnTime(date) {
  const difference = Date.parse(date ?? "") + 500 - Date.now();
  if (Number.isFinite(difference)) skew = Math.abs(difference) > 2000 ? difference : 0;
}
