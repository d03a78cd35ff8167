// Everything else: a transaction put together action by action, as the node's build-transaction takes it.

import { BTM } from "../../base/amount.js";
import { h, put } from "../../base/dom.js";
import { stringify } from "../../base/json.js";
import { field, form, input, select, Wrong } from "../../ui/form.js";
import { icon } from "../../ui/icons.js";
import {
  accountControl,
  addressOf,
  amountControl,
  amountOf,
  assetControl,
  hexOf,
  terms,
  textAsHex,
} from "./controls.js";
import { KINDS, STARTS } from "./kinds.js";

const MOST = 100;

export function actionsForm(scope, query, build) {
  const list = h("ol.actions");
  const cards = new Set();
  const limits = terms();
  const preview = h("pre", { hidden: true });

  function add(kind) {
    if (cards.size === MOST) return;
    const card = actionCard(scope, kind, query, () => {
      cards.delete(card);
      card.element.remove();
    });
    cards.add(card);
    list.append(card.element);
  }
  const start = query.get("output")
    ? ["spend_account_unspent_output", "control_address"]
    : (STARTS[query.get("does") ?? ""] ?? STARTS[""]);
  start.forEach(add);

  const read = () => ({
    base_transaction: null,
    actions: [...cards].map((card) => card.read(limits.unconfirmed())),
    ...limits.read(),
  });
  const adder = select(
    [
      ["", "Add an action…"],
      ...Object.entries(KINDS).map(([kind, { words, brings }]) => [kind, `${brings ? "In" : "Out"}: ${words}`]),
    ],
    { "aria-label": "Add an action" },
  );
  adder.addEventListener("change", () => {
    if (adder.value) add(adder.value);
    adder.value = "";
  });

  const element = form({
    fields: [
      h(
        "p.soft.small",
        "What is spent and what is paid must be equal for each asset; the BTM that are left over are the fee. Change goes back by itself.",
      ),
      list,
      h("div.row", adder),
      h("details", h("summary", "Terms"), h("div.stack-tight", limits.fields)),
      preview,
    ],
    submit: "Build transaction",
    secondary: h("button", { type: "button", onclick: show }, "Show request"),
    act: () => {
      if (!cards.size) throw new Wrong(adder, "Add an action");
      return build(read());
    },
  });

  function show() {
    try {
      put(preview, stringify(read(), "  "));
      preview.hidden = false;
    } catch (failure) {
      if (!(failure instanceof Wrong)) throw failure;
      failure.control.complain(failure.message);
      failure.control.focus();
    }
  }

  return element;
}

function actionCard(scope, kind, query, drop) {
  const { words, brings, asks } = KINDS[kind];
  const parts = asks.map((name) => PARTS[name](scope, query, kind));
  const element = h(
    "li.action",
    h(
      "div.action-head",
      h(`span.tag.${brings ? "in" : "out"}`, brings ? "in" : "out"),
      h("b", words),
      h("button.quiet.drop", { type: "button", "aria-label": `Remove: ${words}`, onclick: drop }, icon("close")),
    ),
    h(
      "div.row",
      parts.map(({ element: part }) => part),
    ),
  );
  return {
    element,
    read(unconfirmed) {
      const action = { type: kind };
      for (const { read } of parts) Object.assign(action, read(action));
      if (kind.startsWith("spend") || kind === "veto") action.use_unconfirmed = unconfirmed;
      return action;
    },
  };
}

// Each part makes its control and reads it; amounts are read after the asset that says how many decimals they have.
const PARTS = {
  account(scope, query) {
    const control = accountControl(scope, query.get("account") ?? "");
    return { element: field("Account", control), read: () => ({ account_id: control.value }) };
  },
  asset(scope, query, kind) {
    const wanted = kind === "spend_account" ? BTM : (query.get("asset") ?? BTM);
    const control = assetControl(scope, wanted);
    return { element: field("Asset", control), read: () => ({ asset_id: control.value }) };
  },
  issued(scope, query) {
    const control = assetControl(scope, query.get("asset") ?? "", true);
    return {
      element: field("Asset", control, { hint: "Only assets of this wallet" }),
      read: () => ({ asset_id: control.value }),
    };
  },
  amount() {
    const control = amountControl();
    return { element: field("Amount", control), read: ({ asset_id: asset }) => ({ amount: amountOf(control, asset) }) };
  },
  btm(scope, query, kind) {
    const amount = kind === "veto" && /^\d+$/.test(query.get("amount") ?? "") ? btmText(query.get("amount")) : "";
    const control = amountControl(amount);
    return { element: field("BTM", control), read: () => ({ asset_id: BTM, amount: amountOf(control) }) };
  },
  address(scope, query) {
    const control = input({ class: "mono", value: query.get("address") ?? "" });
    return { element: field("Address", control), read: () => ({ address: addressOf(control) }) };
  },
  program() {
    const control = input({ class: "mono" });
    return {
      element: field("Program", control, { hint: "Hexadecimal" }),
      read: () => ({ control_program: hexOf(control) }),
    };
  },
  vote(scope, query) {
    const control = input({ class: "mono", value: query.get("vote") ?? "" });
    return { element: field("Validator’s public key", control), read: () => ({ vote: hexOf(control, 64) }) };
  },
  output(scope, query) {
    const control = input({ class: "mono", value: query.get("output") ?? "" });
    return { element: field("Output’s id", control), read: () => ({ output_id: hexOf(control, 32) }) };
  },
  arbitrary() {
    const control = input();
    return {
      element: field("What it says", control, { hint: "Text, written on the chain for good; may be empty" }),
      read: () => ({ arbitrary: textAsHex(control) }),
    };
  },
  contract() {
    const control = input({ class: "mono" });
    return {
      element: field("Contract", control, { hint: "Its program, hexadecimal" }),
      read: () => ({ contract: hexOf(control) }),
    };
  },
};

function btmText(units) {
  return units
    .padStart(9, "0")
    .replace(/(\d{8})$/, ".$1")
    .replace(/\.?0+$/, "");
}
