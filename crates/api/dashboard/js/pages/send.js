// A new transaction: compose, look at what it does, sign, submit, follow. One step is on the page at a time.

import { BTM } from "../base/amount.js";
import { h, put } from "../base/dom.js";
import { book } from "../node/book.js";
import { call } from "../node/call.js";
import { releaseOf } from "../node/reservations.js";
import { to } from "../shell/router.js";
import { section, sheet, tabs } from "../ui/layout.js";
import { empty } from "../ui/pane.js";
import { problem } from "../ui/problem.js";
import { toast } from "../ui/toast.js";
import { actionsForm } from "./send/actions.js";
import { follow } from "./send/follow.js";
import { pasteForm } from "./send/paste.js";
import { inspect, review } from "./send/review.js";
import { transferForm } from "./send/transfer.js";

const MODES = [
  ["", "Transfer"],
  ["actions", "Action by action"],
  ["paste", "Paste"],
];
const STEPS = ["Compose", "Review and sign", "Submitted"];

export function page(scope, _, query) {
  const mode = query.get("mode") ?? (query.get("output") ? "actions" : "");
  const place = h("div");
  const steps = h("ol.progress", { "aria-label": "Steps" });
  const composing = h(
    "div.stack",
    tabs(
      "How to compose",
      MODES.map(([name, words]) => [to("send", "", { mode: name }), words, name === mode]),
    ),
    section(MODES.find(([name]) => name === mode)?.[1] ?? "Transfer", { flush: false }, formFor(mode)),
  );

  function formFor(name) {
    if (name === "paste") return pasteForm((template) => open(template, null));
    const make = name === "actions" ? actionsForm : transferForm;
    const element = h("div");
    scope.on(book, ({ ready, accounts }) => {
      if (!ready || element.dataset.made) return;
      if (accounts.length) element.dataset.made = "yes";
      put(
        element,
        accounts.length
          ? make(scope, query, build)
          : empty("No account to send from", h("a.button", { href: to("accounts") }, "To the accounts")),
      );
    });
    return element;
  }

  async function build(request) {
    await open(await call("build-transaction", request), request);
  }

  async function open(template, request) {
    const found = await inspect(template, request, { signal: scope.signal });
    show(
      1,
      review(found, {
        signed: (next) => reopen(next, request).then(() => toast("Signed")),
        submitted: (id) => show(2, follow(scope, id, compose)),
        again: request && canAdjust(request) ? (fee) => rebuild(request, found, fee) : null,
        discard: () => discard(found.decoded),
      }),
    );
  }

  const reopen = (template, request) =>
    open(template, request).catch((failure) =>
      put(
        place,
        problem(failure, () => reopen(template, request)),
      ),
    );

  async function rebuild(request, found, fee) {
    try {
      await releaseOf(found.decoded);
      await build(withFee(request, BigInt(found.decoded.fee), fee));
      toast("Built again with the other fee");
    } catch (failure) {
      put(place, problem(failure, compose));
    }
  }

  async function discard(decoded) {
    await releaseOf(decoded);
    compose();
    toast("Discarded; nothing was sent");
  }

  const compose = () => show(0, composing);

  function show(step, element) {
    put(
      steps,
      STEPS.map((words, index) =>
        h("li", { class: index < step ? "done" : "", "aria-current": index === step && "step" }, words),
      ),
    );
    put(place, element);
    scrollTo(0, 0);
  }

  compose();
  return sheet("New transaction", {}, steps, place);
}

// the fee is what is spent in BTM and not paid: the last action that spends BTM of an account carries it
const carrier = (request) =>
  request.actions.findLast((action) => action.type === "spend_account" && action.asset_id === BTM);

const canAdjust = (request) => Boolean(carrier(request));

function withFee(request, before, fee) {
  const bearer = carrier(request);
  return {
    ...request,
    actions: request.actions.map((action) =>
      action === bearer ? { ...action, amount: action.amount - before + fee } : action,
    ),
  };
}
