// The common case: from one account to some addresses.

import { BTM, decimal } from "../../base/amount.js";
import { h, put } from "../../base/dom.js";
import { assetOf } from "../../node/book.js";
import { call } from "../../node/call.js";
import { wallet } from "../../node/pulse.js";
import { field, form, input } from "../../ui/form.js";
import { icon } from "../../ui/icons.js";
import { unitOf } from "../../ui/value.js";
import { accountControl, addressOf, amountControl, amountOf, assetControl, DEFAULT_FEE, terms } from "./controls.js";

/** @param build (request) => Promise, which shows the built transaction */
export function transferForm(scope, query, build) {
  const account = accountControl(scope, query.get("account") ?? "");
  const asset = assetControl(scope, query.get("asset") ?? BTM);
  const fee = amountControl(DEFAULT_FEE);
  const limits = terms();
  const held = h("span.field-hint");
  const rows = h("div.recipients");
  const recipients = new Set();

  function add(address = "") {
    const recipient = {
      address: input({ name: "address", class: "mono", value: address, placeholder: "sn1q…" }),
      amount: amountControl(),
    };
    const drop = h(
      "button.quiet.drop",
      { type: "button", "aria-label": "Remove this recipient", onclick: () => remove() },
      icon("close"),
    );
    const row = h("div.recipient", field("To address", recipient.address), field("Amount", recipient.amount), drop);
    function remove() {
      if (recipients.size === 1) return;
      recipients.delete(recipient);
      row.remove();
    }
    recipients.add(recipient);
    rows.append(row);
    return recipient;
  }
  add(query.get("address") ?? "");

  async function tellHolding() {
    if (!account.value) return put(held, "");
    const balances =
      (await call("list-balances", { account_id: account.value }, { signal: scope.signal }).catch(() => [])) ?? [];
    const balance = balances.find((entry) => entry.account_id === account.value && entry.asset_id === asset.value);
    const { decimals, ...named } = assetOf(asset.value);
    put(held, `Holds ${decimal(balance?.amount ?? 0, decimals)} ${unitOf(named)}`);
  }
  for (const control of [account, asset]) control.addEventListener("change", tellHolding);
  scope.on(wallet, () => setTimeout(tellHolding));

  return form({
    fields: [
      h("div.row", h("div.stack-tight", field("From account", account), held), field("Asset", asset)),
      rows,
      h(
        "div",
        h("button", { type: "button", onclick: () => add().address.focus() }, icon("plus"), "Another recipient"),
      ),
      h("div.half", field("Fee, in BTM", fee, { hint: "The next step says what is needed." })),
      h("details", h("summary", "Terms"), h("div.stack-tight", limits.fields)),
    ],
    submit: "Build transaction",
    act: () =>
      build({
        base_transaction: null,
        actions: actionsOf({ account, asset, fee, recipients, unconfirmed: limits.unconfirmed() }),
        ...limits.read(),
      }),
  });
}

function actionsOf({ account, asset, fee, recipients, unconfirmed }) {
  const id = asset.value || BTM;
  const pays = [...recipients].map(({ address, amount }) => ({
    type: "control_address",
    asset_id: id,
    amount: amountOf(amount, id),
    address: addressOf(address),
  }));
  const sum = pays.reduce((total, { amount }) => total + amount, 0n);
  const cost = amountOf(fee, BTM);
  const spend = (asset_id, amount) => ({
    type: "spend_account",
    account_id: account.value,
    asset_id,
    amount,
    use_unconfirmed: unconfirmed,
  });
  const spends = id === BTM ? [spend(BTM, sum + cost)] : [spend(id, sum), spend(BTM, cost)];
  return [...spends, ...pays];
}
