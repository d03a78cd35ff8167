// The upgrade that the chain has planned, who decides on it, and the way to a decision.

import { h } from "../base/dom.js";
import { parse, stringify } from "../base/json.js";
import { duration, plural } from "../base/format.js";
import { call, optional } from "../node/call.js";
import { gaps, linesBelow, median } from "../node/chain.js";
import { health, tip, upgrades } from "../node/pulse.js";
import { offer } from "../node/template.js";
import { upgradeFrom } from "../node/upgrade.js";
import { go } from "../shell/router.js";
import { copyButton } from "../ui/copy.js";
import { check, field, form, input, required, Wrong } from "../ui/form.js";
import { section, sheet } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { facts, table } from "../ui/table.js";
import { hash, state } from "../ui/value.js";
import { accountControl } from "./send/controls.js";

const SAMPLE = 21;

export function page(scope) {
  const load = async (signal) => {
    const told = await optional("get-upgrade-plan", {}, { signal });
    const interval =
      told?.plan && tip.value ? median(gaps(await linesBelow(tip.value.height, SAMPLE, { signal }))) : null;
    return { told: told !== null, plan: upgradeFrom(told, health.value), interval };
  };
  // without what changes with every block, so that the forms stay as they are being filled in
  const deciders = (signal) =>
    optional("get-upgrade-plan", {}, { signal }).then(
      (told) => told && { quorum: told.quorum, federation: told.federation, member: told.member },
    );
  const federation = pane(scope, deciders, (told) => (told ? decisions(scope, told) : h("span")), {
    on: [upgrades],
    waiting: h("span"),
  });
  return sheet(
    "Upgrade",
    {
      note: "At the planned height every node stops until it runs the program that the plan names. A supervisor (baton, cosmovisor) that has the release changes to it by itself.",
    },
    section("Plan", {}, pane(scope, load, planned, { on: [tip, upgrades] })),
    federation,
  );
}

function planned({ told, plan, interval }) {
  if (!told && !plan)
    return empty("This node knows of no upgrade plans", "Its chain changes programs by agreement of its operators.");
  if (!plan)
    return empty("No upgrade is planned", "A plan appears here once a quorum of the federation has decided on it.");
  return facts([
    ["Upgrade", h("b", plan.name ?? "unnamed")],
    ["State", plan.halted ? state("bad", "the chain waits for it") : state("warn", "planned")],
    ["Height", String(plan.height)],
    !plan.halted && [
      "To go",
      plural(plan.toGo, "block"),
      interval !== null && h("span.faint", `, about ${duration(plan.toGo * interval)}`),
    ],
    plan.info && ["For supervisors", h("pre", plan.info)],
  ]);
}

function decisions(scope, { quorum, federation, member }) {
  const list = table(
    [
      { head: "#", class: "num", cell: ({ number }) => String(number) },
      { head: "Member", class: "more", cell: ({ xpub }) => hash(xpub, { what: "the member’s public key" }) },
      { head: "", cell: ({ own }) => own && h("span.tag.own", "this node") },
    ],
    {
      caption: "Federation",
      key: ({ number }) => number,
      none: empty("No federation", "This chain’s genesis names none; it cannot plan upgrades."),
    },
  );
  list.update(federation.map((xpub, number) => ({ xpub, number, own: number === member })));
  return h(
    "div.stack",
    section("Federation", { note: `${quorum} of ${federation.length} decide` }, list.element),
    federation.length > 0 &&
      h(
        "div.halves",
        member !== null && section("Sign a decision", { flush: false }, signForm()),
        section("Bring a decision to the chain", { flush: false }, buildForm(scope, quorum)),
      ),
  );
}

function decision() {
  const name = input();
  const height = input({ inputmode: "numeric" });
  const info = h("textarea", { rows: 3, spellcheck: "false" });
  const cancel = check("Cancel the plan of this name instead");
  return {
    fields: [
      h("div.row", field("Name", name), field("Height", height, { hint: "The first that needs the new program" })),
      field("For supervisors", info, { hint: "Such as where the binaries are; may be empty" }),
      cancel,
    ],
    read() {
      const wanted = { name: required(name), info: info.value.trim(), cancel: cancel.box.checked };
      if (!wanted.cancel && !/^\d{1,15}$/.test(required(height))) throw new Wrong(height, "A height");
      return { ...wanted, height: Number(height.value) || 0 };
    },
  };
}

function signForm() {
  const what = decision();
  return form({
    fields: [
      h(
        "p.soft.small",
        "With this node’s own key, on this node’s machine only. The signature does nothing until a quorum is brought to the chain.",
      ),
      what.fields,
    ],
    submit: "Sign decision",
    act: async () => {
      const signature = stringify(await call("sign-upgrade-plan", what.read()));
      return h(
        "div.outcome",
        h("p", "Signed. Pass this on to whoever collects the signatures:"),
        h("div.secret", h("code", signature), copyButton(signature, "the signature")),
      );
    },
  });
}

function buildForm(scope, quorum) {
  const what = decision();
  const signatures = h("textarea", {
    rows: 4,
    spellcheck: "false",
    placeholder: '{"sequence":0,"member":0,"signature":"…"}',
  });
  const account = accountControl(scope);
  return form({
    fields: [
      what.fields,
      field(`Signatures of ${quorum} or more members`, signatures, { hint: "One a line, as signing answered" }),
      field("Account that pays the fee", account),
    ],
    submit: "Build transaction",
    act: async () => {
      const body = { ...what.read(), signatures: signaturesFrom(signatures), account_id: account.value };
      offer(await call("build-upgrade-transaction", body));
      go("send", "", { mode: "paste" });
    },
  });
}

function signaturesFrom(control) {
  try {
    const lines = required(control)
      .split(/\n+/)
      .map((line) => line.trim())
      .filter(Boolean);
    return lines.flatMap((line) => parse(line)).map(({ member, signature }) => ({ member, signature }));
  } catch (failure) {
    if (failure instanceof Wrong) throw failure;
    throw new Wrong(control, "Not signatures: one JSON object a line");
  }
}
