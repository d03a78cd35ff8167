// Whether this node makes blocks, and who gets the rewards.

import { h } from "../base/dom.js";
import { accountChoices, book } from "../node/book.js";
import { call } from "../node/call.js";
import { hurry, net } from "../node/pulse.js";
import { to } from "../shell/router.js";
import { field, form, input, select } from "../ui/form.js";
import { section, sheet } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { facts } from "../ui/table.js";
import { toast } from "../ui/toast.js";
import { hash, state } from "../ui/value.js";
import { addressOf } from "./send/controls.js";

export function page(scope) {
  const status = pane(
    scope,
    (signal) => read(signal),
    (found) => body(found, () => status.reload()),
    { on: [net, book] },
  );
  return sheet(
    "Mining",
    {
      note: "Only a validator’s blocks count. The setting holds until the node stops; to keep it, start the node with --mining.",
    },
    status,
  );
}

async function read(signal) {
  const [{ is_mining: on }, address] = await Promise.all([call("is-mining", {}, { signal }), miningAddress(signal)]);
  return { on, address };
}

// a wallet without accounts has none; that is no error here
async function miningAddress(signal) {
  try {
    const { mining_address: address } = await call("get-mining-address", {}, { signal });
    return { text: address };
  } catch (failure) {
    if (failure.kind !== "refused") throw failure;
    return { failure };
  }
}

function body({ on, address }, reload) {
  return h(
    "div.halves",
    section("Making blocks", { flush: false }, switchForm(on, reload)),
    section(
      "Rewards",
      { flush: false },
      address.text === undefined
        ? empty(
            "No address for rewards yet",
            address.failure.detail ?? address.failure.msg,
            ". ",
            h("a", { href: to("accounts") }, "Create an account"),
            ".",
          )
        : rewards(address.text, reload),
    ),
  );
}

function switchForm(on, reload) {
  return form({
    fields: [
      facts([["Mining", state(on ? "ok" : "idle", on ? "on" : "off")]]),
      h(
        "p.soft.small",
        on
          ? "This node proposes a block whenever its turn comes."
          : "This node proposes no blocks. A lone validator’s chain stands still.",
      ),
    ],
    submit: on ? "Switch mining off" : "Switch mining on",
    danger: on,
    act: async () => {
      await call("set-mining", { is_mining: !on });
      toast(on ? "Mining is off" : "Mining is on");
      hurry();
      reload();
    },
  });
}

function rewards(address, reload) {
  const next = input({ class: "mono", value: "", placeholder: "an address of this wallet" });
  const account = select([["", "a new address of…"], ...accountChoices()], {
    "aria-label": "Account for a new address",
  });
  account.addEventListener("change", async () => {
    if (!account.value) return;
    const made = await call("create-account-receiver", { account_id: account.value }).catch(
      (failure) => (next.complain(failure.msg), null),
    );
    if (made) next.value = made.address;
    account.value = "";
  });
  return form({
    fields: [facts([["Paid to", hash(address, { what: "the address" })]]), field("Pay to another", next), account],
    submit: "Change address",
    act: async () => {
      const wanted = addressOf(next);
      await call("set-mining-address", { mining_address: wanted });
      toast("Rewards go to the new address from the next block on");
      reload();
    },
  });
}
