// An error of the node, shown whole: what it means, its code, its detail, and what to do.

import { h } from "../base/dom.js";
import { Failure } from "../node/failure.js";

/** @param again called by the button "Try again", if given */
export function problem(failure, again) {
  // a fault of this page itself must not look like one of the node
  const known = failure instanceof Failure;
  // most errors share the message of BTM000; there only the detail says something
  const bare = failure.code === "BTM000" && failure.detail;
  const title = known ? (bare ? failure.detail : failure.msg) : `This page failed: ${failure.message}`;
  const detail = bare ? failure.msg : failure.detail;
  return h(
    "div.problem",
    { role: "alert" },
    h("p.problem-title", title, failure.code && h("code.problem-code", failure.code)),
    detail && detail !== title && h("p.problem-detail", detail),
    failure.advice && h("p.problem-advice", failure.advice),
    known &&
      h(
        "p.problem-source",
        `POST /${failure.endpoint}`,
        failure.status && failure.status !== 200 ? ` · HTTP ${failure.status}` : "",
      ),
    again && h("button", { type: "button", onclick: again }, "Try again"),
  );
}
