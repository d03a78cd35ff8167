// The access token, kept by the browser for this tab only and gone when it closes.

import { signal } from "../base/signal.js";

const KEY = "baton.token";

/** "id:secret", or null. */
export const token = signal(sessionStorage.getItem(KEY));

/** The node's refusal that asks for a token, or null while it lets us in. */
export const refusal = signal(null);

export function signIn(value) {
  sessionStorage.setItem(KEY, value);
  token.set(value);
  refusal.set(null);
}

export function signOut() {
  sessionStorage.removeItem(KEY);
  token.set(null);
}

/** The value of the Authorization header, or null without a token. */
export function authorization(value = token.value) {
  if (!value) return null;
  const octets = new TextEncoder().encode(value);
  return `Basic ${btoa(String.fromCharCode(...octets))}`;
}
