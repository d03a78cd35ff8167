// A built transaction, before it is sent: what it does in plain words, what it costs, who has signed.

import { BTM, decimal } from "../../base/amount.js";
import { h } from "../../base/dom.js";
import { stringify } from "../../base/json.js";
import { bytes, plural } from "../../base/format.js";
import { isOwn, keyOf } from "../../node/book.js";
import { call } from "../../node/call.js";
import { betterFee, feeJudgement, isSigned, settlement, signaturesIn, signingProgress } from "../../node/template.js";
import { feeOf } from "../../node/transaction.js";
import { copyButton } from "../../ui/copy.js";
import { field, form, password, required, Wrong } from "../../ui/form.js";
import { section } from "../../ui/layout.js";
import { raw } from "../../ui/raw.js";
import { save } from "../../ui/save.js";
import { facts } from "../../ui/table.js";
import { entries } from "../../ui/transaction.js";
import { hash, money, state } from "../../ui/value.js";

/**
 * All that the review shows: { template, decoded, needed: { total, parts } or null, own and asked: Sets of addresses }
 * @param request what the template was built from, if that is known
 */
export async function inspect(template, request, options) {
  const decoded = await call("decode-raw-transaction", { raw_transaction: template.raw_transaction }, options);
  const addresses = [...new Set([...decoded.inputs, ...decoded.outputs].map(({ address }) => address).filter(Boolean))];
  const [needed, owned] = await Promise.all([estimate(template, options), Promise.all(addresses.map(isOwn))]);
  const asked = new Set((request?.actions ?? []).map(({ address }) => address).filter(Boolean));
  return { template, decoded, needed, asked, own: new Set(addresses.filter((_, index) => owned[index])) };
}

// for a bare transaction there is no estimate; and one that fails must not hide the transaction itself
async function estimate(template, options) {
  if (!template.signing_instructions) return null;
  try {
    const answer = await call("estimate-transaction-gas", { transaction_template: template }, options);
    return { total: BigInt(answer.total_neu), parts: answer };
  } catch (failure) {
    if (failure.kind === "refused") return null;
    throw failure;
  }
}

/**
 * @param found what inspect() found
 * @param acts { signed(template), submitted(txId, found), again(fee) or null, discard() }
 */
export function review(found, acts) {
  const { template, decoded } = found;
  const bare = !template.signing_instructions;
  const done = bare || isSigned(template);
  return h(
    "div.stack",
    section(
      "What it does",
      { acts: h("button.quiet", { type: "button", onclick: acts.discard }, "Discard") },
      story(found),
      costs(found, acts.again),
    ),
    !bare &&
      section(
        "Signatures",
        { flush: false, note: state(done ? "ok" : "idle", done ? "complete" : "incomplete") },
        signatures(found, acts),
      ),
    section("Submit", { flush: false }, submission(found, done, acts)),
    entries(decoded),
    h(
      "details",
      h("summary", "Template, to pass on to another signer"),
      h(
        "div.form-actions",
        h(
          "button",
          { type: "button", onclick: () => save(stringify(template, "  "), "template.json", "application/json") },
          "Save template",
        ),
        copyButton(() => stringify(template), "the template"),
      ),
      raw(stringify(template, "  "), "template.json"),
    ),
  );
}

function story({ decoded, own, asked }) {
  const { pays, change, spent } = settlement(decoded, own, asked);
  const fee = feeOf(decoded);
  return h(
    "ul.story",
    pays.map((output) =>
      line(VERBS[output.type] ?? "Pays", money(output.amount, output.asset_id), target(output, own)),
    ),
    fee !== null && line("Costs", money(fee, BTM), "fee"),
    [...spent].map(([asset, sum]) =>
      line(
        "Takes",
        money(sum, asset),
        `in ${plural(decoded.inputs.filter((input) => input.asset_id === asset).length, "input")}`,
      ),
    ),
    change.map((output) =>
      line("Returns", money(output.amount, output.asset_id), [
        "as change, to ",
        output.address && hash(output.address, { copy: false }),
      ]),
    ),
  );
}

const VERBS = { vote: "Votes with", retire: "Destroys", control: "Pays", original: "Pays" };

function target(output, own) {
  if (output.vote) return ["for ", hash(output.vote, { what: "the validator’s public key" })];
  if (output.address)
    return [
      "to ",
      hash(output.address, { what: "the address" }),
      own.has(output.address) && [" ", h("span.tag.own", "yours")],
    ];
  return output.type === "retire"
    ? "for good"
    : ["to the program ", hash(output.control_program, { what: "the program" })];
}

const line = (verb, amount, rest) => h("li", h("span.story-verb", verb), amount, h("span.story-rest", rest));

function costs({ decoded, needed }, again) {
  const fee = feeOf(decoded);
  const judgement = feeJudgement(fee, needed?.total ?? null);
  const part = (name, words) => needed.parts[name] > 0 && `${words} ${decimal(needed.parts[name]).replace(/0+$/, "")}`;
  const parts = () =>
    [part("storage_neu", "size"), part("vm_neu", "programs"), part("flexible_neu", "reserve")]
      .filter(Boolean)
      .join(", ");
  return facts([
    fee !== null && [
      "Fee",
      h(
        "span.fee",
        money(fee),
        feeWords(judgement),
        again && needed && isWorthIt(fee, needed) && rebuild(again, needed),
      ),
    ],
    needed && ["Needed", money(needed.total), h("div.faint", parts())],
    ["Size", bytes(decoded.size)],
    decoded.time_range > 0 && ["Valid until height", String(decoded.time_range)],
    ["Transaction", hash(decoded.tx_id, { what: "the transaction’s id" })],
  ]);
}

function feeWords(judgement) {
  if (judgement === "low") return state("bad", "too low: the node would refuse it");
  if (judgement === "high") return state("warn", "far more than is needed");
  return judgement === "fair" ? state("ok", "enough") : null;
}

// to build again for a few neu is no help
const isWorthIt = (fee, { total }) => fee < total || fee > betterFee(total) * 2n;

function rebuild(again, { total }) {
  const fee = betterFee(total);
  return h("button.link", { type: "button", onclick: () => again(fee) }, "change to ", money(fee));
}

function signatures(found, acts) {
  const { template } = found;
  const progress = signingProgress(template);
  const here = new Set(
    progress
      .filter(({ missing }) => missing)
      .flatMap(({ keys }) => keys)
      .filter(keyOf),
  );
  return [
    h(
      "ul.signing",
      groups(progress).map(({ count, keys, needed, got }) =>
        h(
          "li",
          state(got >= needed ? "ok" : "idle", `${got} of ${needed}`),
          h("span.soft", ` for ${plural(count, "input")}: `),
          keys.map((xpub, index) => [
            index > 0 && ", ",
            keyOf(xpub)?.alias ?? h("span", { title: xpub }, `${xpub.slice(0, 8)}… (elsewhere)`),
          ]),
        ),
      ),
    ),
    !isSigned(template) &&
      (here.size
        ? signForm(found, here, acts)
        : h(
            "div.caution",
            h(
              "p",
              "None of the keys that are missing is on this node. Save the template below, have it signed there, and open it again by “Paste”.",
            ),
          )),
  ];
}

function signForm({ template }, here, { signed }) {
  const secret = password();
  const names = [...here].map((xpub) => keyOf(xpub).alias).join(", ");
  return form({
    fields: [h("div.narrow", field(`Password of ${names}`, secret))],
    submit: "Sign",
    act: async () => {
      const answer = await call("sign-transaction", { password: required(secret), transaction: template });
      // the node says success also when nothing could be signed
      if (!answer.sign_complete && signaturesIn(answer.transaction) <= signaturesIn(template))
        throw new Wrong(secret, "That is not the key’s password");
      signed(answer.transaction);
    },
  });
}

// inputs that need the same keys are one line
function groups(progress) {
  const lines = new Map();
  for (const { keys, needed, got } of progress) {
    const name = `${keys} ${needed} ${got}`;
    const line = lines.get(name) ?? { keys, needed, got, count: 0 };
    line.count += 1;
    lines.set(name, line);
  }
  return [...lines.values()];
}

function submission(found, done, { submitted }) {
  if (!done) return h("p.soft.small", "Once it is signed. Until then nothing has left this node.");
  return form({
    fields: [h("p.small", "It goes to the network and cannot be taken back.")],
    submit: "Submit transaction",
    act: async () => {
      const { tx_id: id } = await call("submit-transaction", { raw_transaction: found.template.raw_transaction });
      submitted(id, found);
    },
  });
}
