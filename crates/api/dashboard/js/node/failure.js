// What can go wrong with a request, as one kind of error that says what happened and what to do.

import { adviceFor } from "./advice.js";

export class Failure extends Error {
  /**
   * @param {object} facts kind: "refused" (the node answered with an error), "unreachable", "late", "garbled",
   *   "locked" (401); endpoint; and, of the node's answer, status, code, msg, detail.
   */
  constructor(facts) {
    super(facts.msg);
    Object.assign(this, { name: "Failure", code: null, detail: null, status: null }, facts);
  }

  /** What an operator can do about it, or null. */
  get advice() {
    return adviceFor(this);
  }
}

/** The Failure in an answer that is not a success. */
export function failureFrom(endpoint, status, answer) {
  return new Failure({
    // 403 with this code: loopback is trusted, but not for a page that came by this host name
    kind: status === 401 || (status === 403 && answer.code === "BTM860") ? "locked" : "refused",
    endpoint,
    status,
    code: answer.code ?? null,
    msg: answer.msg || "The node refused the request",
    detail: answer.error_detail || answer.detail || null,
  });
}

export function unreachable(endpoint) {
  return new Failure({ kind: "unreachable", endpoint, msg: "No answer from the node" });
}

export function late(endpoint, ms) {
  return new Failure({ kind: "late", endpoint, msg: `No answer within ${ms / 1000} s` });
}

export function garbled(endpoint, status, start) {
  return new Failure({
    kind: "garbled",
    endpoint,
    status,
    msg: `Not an answer of a node (HTTP ${status})`,
    detail: start.slice(0, 300) || null,
  });
}
