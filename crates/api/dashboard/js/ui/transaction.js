// What a transaction takes and gives, an entry each.

import { NO_ASSET } from "../base/amount.js";
import { h } from "../base/dom.js";
import { textOfHex } from "../base/format.js";
import { isOwn } from "../node/book.js";
import { kindsOf } from "../node/transaction.js";
import { to } from "../shell/router.js";
import { section } from "./layout.js";
import { facts } from "./table.js";
import { hash, money, tag } from "./value.js";

const NAMES = {
  spend: "spend",
  coinbase: "coinbase",
  issue: "issue",
  veto: "veto",
  control: "pay",
  original: "pay",
  vote: "vote",
  retire: "retire",
};

export const kinds = (transaction) => kindsOf(transaction).map((kind) => [tag(kind), " "]);

export function entries({ inputs, outputs }) {
  return h(
    "div.halves",
    section(
      `Inputs (${inputs?.length ?? 0})`,
      {},
      h(
        "ol.entries",
        inputs?.map((input) => h("li", inputBody(input))),
      ),
    ),
    section(
      `Outputs (${outputs?.length ?? 0})`,
      {},
      h(
        "ol.entries",
        outputs?.map((output) => h("li", outputBody(output))),
      ),
    ),
  );
}

function inputBody(input) {
  return [
    line(input, "issuance_program"),
    facts([
      input.spent_output_id && ["Spends output", hash(input.spent_output_id, { what: "the output’s id" })],
      input.type === "coinbase" && ["Written by the proposer", words(input.arbitrary)],
      input.vote && ["Voted for", validator(input.vote)],
      input.type === "issue" && ["Program", hash(input.issuance_program, { what: "the program" })],
      input.input_id && ["Input", hash(input.input_id, { what: "the input’s id" })],
      input.witness_arguments?.length > 0 && [
        "Witness",
        input.witness_arguments.map((argument) => h("div", hash(argument, { copy: false }))),
      ],
    ]),
  ];
}

function outputBody(output) {
  const says = output.type === "retire" ? wordsOfRetirement(output.control_program) : null;
  return [
    line(output),
    facts([
      output.id && ["Output", hash(output.id, { what: "the output’s id" })],
      output.vote && ["Votes for", validator(output.vote)],
      says && ["Says", words(says)],
      (output.type === "retire" || !output.address) &&
        output.control_program && ["Program", hash(output.control_program, { what: "the program" })],
      output.state_data?.length > 0 && [
        "State",
        output.state_data.map((piece) => h("div", hash(piece, { copy: false }))),
      ],
    ]),
  ];
}

function line(entry) {
  const known = entry.asset_id && entry.asset_id !== NO_ASSET;
  return h(
    "div.entry-line",
    tag(NAMES[entry.type] ?? entry.type),
    h("span.entry-who", who(entry)),
    known ? money(entry.amount, entry.asset_id) : h("span.faint", "no amount"),
  );
}

function who(entry) {
  const account = entry.account_alias || entry.account_id;
  const address = entry.address && hash(entry.address, { href: to("search", entry.address), what: "the address" });
  if (account) return [h("a", { href: to("account", entry.account_id ?? account) }, account), " ", address];
  if (!address) return null;
  const mark = h("span");
  isOwn(entry.address).then((own) => own && mark.replaceWith(h("span.tag.own", "yours")));
  return [address, " ", mark];
}

const validator = (xpub) => hash(xpub, { what: "the validator’s public key" });

// what was written on chain, as text where it is text
function words(hex) {
  const text = textOfHex(hex);
  return text === null ? hash(hex, { what: "the data" }) : h("span", { title: hex }, `“${text}”`);
}

// a retirement's program is FAIL and then pushes of data; what is pushed is what it says
function wordsOfRetirement(program) {
  const match = /^6a([0-4][0-9a-f])([0-9a-f]+)$/.exec(program ?? "");
  return match && match[2].length === 2 * parseInt(match[1], 16) ? match[2] : null;
}
