// A transaction that was built elsewhere: to look at, to sign as one of several, or to submit.

import { h } from "../../base/dom.js";
import { parse, stringify } from "../../base/json.js";
import { taken, templateFrom } from "../../node/template.js";
import { field, form, required, Wrong } from "../../ui/form.js";

const MOST = 4_000_000;

/** @param open (template) => Promise, which shows it */
export function pasteForm(open) {
  const left = taken();
  const text = h("textarea", {
    value: left ? stringify(left, "  ") : "",
    rows: 8,
    spellcheck: "false",
    placeholder: '{"raw_transaction":"07…","signing_instructions":[…]}   or   07…',
  });
  return form({
    fields: [
      field("Template or raw transaction", text, {
        hint: "The JSON that build or sign answered, or the transaction in hexadecimal.",
      }),
    ],
    submit: "Inspect",
    act: () => open(read(text)),
  });
}

function read(text) {
  const source = required(text, "Paste a template or a raw transaction");
  if (source.length > MOST) throw new Wrong(text, "Too long for a transaction");
  const template = templateFrom(/^[0-9a-f]+$/i.test(source) ? source : json(text, source));
  if (!template) throw new Wrong(text, "There is no raw_transaction in it");
  return template;
}

function json(text, source) {
  try {
    return parse(source);
  } catch (failure) {
    throw new Wrong(text, `Neither JSON nor hexadecimal (${failure.message})`);
  }
}
