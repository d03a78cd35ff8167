// Proving that an address is yours, checking such a proof, reading programs.

import { h } from "../base/dom.js";
import { hexOfText } from "../base/format.js";
import { call } from "../node/call.js";
import { field, form, input, password, required } from "../ui/form.js";
import { section, sheet } from "../ui/layout.js";
import { facts } from "../ui/table.js";
import { hash, state } from "../ui/value.js";
import { addressOf, hexOf } from "./send/controls.js";

export function page() {
  return sheet(
    "Sign and verify",
    {},
    h(
      "div.halves",
      section("Sign a message", { flush: false }, sign()),
      section("Verify a message", { flush: false }, verify()),
      section("Read a program", { flush: false }, decode()),
    ),
  );
}

const words = () => h("textarea", { rows: 3 });

function sign() {
  const address = input({ class: "mono" });
  const message = words();
  const secret = password();
  return form({
    fields: [field("Address of this wallet", address), field("Message", message), field("Password of its key", secret)],
    submit: "Sign",
    act: async () => {
      const answer = await call("sign-message", {
        address: addressOf(address),
        message: hexOfText(required(message)),
        password: required(secret),
      });
      secret.value = "";
      return h(
        "div.outcome",
        facts([
          ["Signature", hash(answer.signature, { what: "the signature" })],
          ["Public key", hash(answer.derived_xpub, { what: "the public key" })],
        ]),
      );
    },
  });
}

function verify() {
  const address = input({ class: "mono" });
  const message = words();
  const signature = input({ class: "mono" });
  const key = input({ class: "mono" });
  return form({
    fields: [
      field("Address", address),
      field("Message", message),
      field("Signature", signature),
      field("Public key", key),
    ],
    submit: "Verify",
    act: async () => {
      const body = {
        address: addressOf(address),
        message: hexOfText(required(message)),
        signature: hexOf(signature, 64),
        derived_xpub: hexOf(key, 64),
      };
      const { result } = await call("verify-message", body);
      return result
        ? h("div.outcome", state("ok", "It holds: the owner of the address signed this message"))
        : h("div.caution", state("bad", "It does not hold"));
    },
  });
}

function decode() {
  const program = input({ class: "mono" });
  return form({
    fields: [field("Program", program, { hint: "Hexadecimal" })],
    submit: "Read",
    act: async () => {
      const { instructions } = await call("decode-program", { program: hexOf(program) });
      return h("pre", instructions);
    },
  });
}
