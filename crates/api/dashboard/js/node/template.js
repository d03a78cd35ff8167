// Templates: transactions that are being signed. What they still need, read from their signing instructions.

/**
 * For each input: { position, needed, got, keys: [xpub], missing }. An instruction without a signature component (a
 * program that needs none) asks for nothing.
 */
export function signingProgress(template) {
  return (template.signing_instructions ?? []).flatMap(({ position, witness_components: components }) =>
    (components ?? [])
      .filter(({ keys }) => Array.isArray(keys))
      .map(({ quorum, keys, signatures }) => {
        const got = (signatures ?? []).filter(Boolean).length;
        return {
          position,
          needed: quorum,
          got,
          keys: keys.map(({ xpub }) => xpub),
          missing: Math.max(0, quorum - got),
        };
      }),
  );
}

export const isSigned = (template) => signingProgress(template).every(({ missing }) => missing === 0);

/** How many signatures there are in all; it grows exactly when a signing did something. */
export const signaturesIn = (template) => signingProgress(template).reduce((sum, { got }) => sum + got, 0);

/** Template from what was pasted: a template, an answer that holds one, or a bare raw transaction in hex. */
export function templateFrom(value) {
  if (typeof value === "string")
    return /^(?:[0-9a-f]{2})+$/i.test(value) ? { raw_transaction: value, signing_instructions: null } : null;
  const inner = value?.data ?? value;
  const template = inner?.transaction ?? inner?.template ?? inner;
  return typeof template?.raw_transaction === "string" ? template : null;
}

/**
 * What a decoded transaction does for a wallet to which the addresses in `own` belong. What goes to an address in `asked`
 * is a payment, even if it is the wallet's own.
 * { pays: [output], change: [output], spent: Map asset → BigInt }
 */
export function settlement({ inputs, outputs }, own, asked = new Set()) {
  const isOurs = ({ address }) => Boolean(address) && own.has(address) && !asked.has(address);
  const spent = new Map();
  for (const input of inputs) {
    if (input.type === "coinbase") continue;
    spent.set(input.asset_id, (spent.get(input.asset_id) ?? 0n) + BigInt(input.amount));
  }
  const plain = (output) => output.type !== "vote" && output.type !== "retire";
  return {
    pays: outputs.filter((output) => !(plain(output) && isOurs(output))),
    change: outputs.filter((output) => plain(output) && isOurs(output)),
    spent,
  };
}

/** How a fee compares with what the node reckons is needed: "low", "fair", "high", or null if it is not known. */
export function feeJudgement(fee, needed) {
  if (fee === null || needed === null) return null;
  if (BigInt(fee) < BigInt(needed)) return "low";
  return BigInt(fee) > BigInt(needed) * 50n ? "high" : "fair";
}

/** The fee with which to build again: what is needed and a tenth more, in hundredths of a BTM. */
export function betterFee(needed) {
  const wanted = (BigInt(needed) * 11n) / 10n;
  return ((wanted + 999_999n) / 1_000_000n) * 1_000_000n;
}

let offered = null;

/** Leaves a template for the page that signs. */
export function offer(template) {
  offered = template;
}

/** Takes what was left, once. */
export function taken() {
  const template = offered;
  offered = null;
  return template;
}
