// The controls of the forms that build transactions, and how what they hold goes into a request.

import { amountFrom, BTM } from "../../base/amount.js";
import { hexOfText } from "../../base/format.js";
import { accountChoices, assetOf, book } from "../../node/book.js";
import { unitOf } from "../../ui/value.js";
import { check, choose, field, input, required, select, Wrong } from "../../ui/form.js";

export const DEFAULT_FEE = "0.2"; // what bytomcli pays

export function accountControl(scope, wanted = "") {
  const control = select([], { name: "account" });
  scope.on(book, () => choose(control, accountChoices(), control.value || wanted));
  return control;
}

/** @param own only assets that this wallet can issue */
export function assetControl(scope, wanted = BTM, own = false) {
  const control = select([], { name: "asset" });
  const fits = ({ type }) => !own || type === "asset";
  scope.on(book, ({ assets }) =>
    choose(
      control,
      assets.filter(fits).map((asset) => [asset.id, unitOf(assetOf(asset.id))]),
      control.value || wanted,
    ),
  );
  return control;
}

export const amountControl = (value = "") =>
  input({ name: "amount", inputmode: "decimal", placeholder: "0.00", class: "amount", value });

/** The amount of a control, as a BigInt of units of an asset. */
export function amountOf(control, assetId = BTM, { zero = false } = {}) {
  const source = required(control, "An amount");
  const amount = attempt(control, () => amountFrom(source, assetOf(assetId).decimals));
  if (amount === 0n && !zero) throw new Wrong(control, "More than zero");
  return amount;
}

export function addressOf(control) {
  const address = required(control, "An address");
  if (!/^[a-z]{2,4}1[a-z0-9]{20,90}$/i.test(address))
    throw new Wrong(control, "Not an address: one begins with the network’s letters and 1, as sn1q…");
  return address;
}

export function hexOf(control, octets = null) {
  const hex = required(control).toLowerCase();
  if (!/^(?:[0-9a-f]{2})*$/.test(hex)) throw new Wrong(control, "Hexadecimal digits, two for each byte");
  if (octets !== null && hex.length !== octets * 2) throw new Wrong(control, `${octets * 2} hexadecimal characters`);
  return hex;
}

/** When it ends and what it may spend: for both forms. @returns { element, read() → part of the request } */
export function terms() {
  const minutes = input({ inputmode: "numeric", value: "30" });
  const height = input({ inputmode: "numeric", placeholder: "no limit" });
  const unconfirmed = check("May spend outputs of the pool");
  return {
    fields: [
      field("Hold the outputs for (minutes)", minutes, {
        hint: "Until it is submitted, no other transaction gets them.",
      }),
      field("Valid until height", height),
      unconfirmed,
    ],
    unconfirmed: () => unconfirmed.box.checked,
    read: () => ({
      ttl: whole(minutes, 1, 1440) * 60_000,
      time_range: height.value.trim() ? whole(height, 1, Number.MAX_SAFE_INTEGER) : 0,
    }),
  };
}

function whole(control, least, most) {
  const number = Number(required(control));
  if (!Number.isSafeInteger(number) || number < least || number > most)
    throw new Wrong(control, `A whole number from ${least}${most < Number.MAX_SAFE_INTEGER ? ` to ${most}` : ""}`);
  return number;
}

function attempt(control, read) {
  try {
    return read();
  } catch (failure) {
    throw new Wrong(control, failure.message);
  }
}

export const textAsHex = (control) => hexOfText(control.value);
