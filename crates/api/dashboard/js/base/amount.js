// Amounts are BigInts of the smallest unit (a neu, for BTM) everywhere; only here do they become decimals.

export const BTM = "f".repeat(64);
export const NO_ASSET = "0".repeat(64);
export const MAX_AMOUNT = 2n ** 63n - 1n;
const MAX_DECIMALS = 18;

/** How many decimals an asset's definition asks for; 0 if it says nothing sensible. */
export function decimalsOf(asset) {
  if (asset?.id === BTM) return 8;
  const decimals = Number(asset?.definition?.decimals);
  return Number.isInteger(decimals) && decimals >= 0 && decimals <= MAX_DECIMALS ? decimals : 0;
}

/** 150000000n with 8 decimals → { sign: "", whole: "1", part: "50000000" } */
export function split(amount, decimals) {
  const value = BigInt(amount);
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, "0");
  const cut = digits.length - decimals;
  return { sign: value < 0n ? "−" : "", whole: digits.slice(0, cut), part: digits.slice(cut) };
}

/** 150000000n with 8 decimals → "1.50000000" */
export function decimal(amount, decimals = 8) {
  const { sign, whole, part } = split(amount, decimals);
  return sign + whole + (part && `.${part}`);
}

/** "1.5" with 8 decimals → 150000000n. Throws an Error that tells what is wrong with the text. */
export function amountFrom(source, decimals = 8) {
  const match = /^(\d*)(?:\.(\d*))?$/.exec(source.trim());
  if (!match || !(match[1] || match[2])) throw new Error("Not an amount: write digits and at most one point, as 12.5");
  const part = (match[2] ?? "").replace(/0+$/, "");
  if (part.length > decimals) {
    throw new Error(decimals ? `Too fine: this asset has ${decimals} decimals` : "This asset has no decimals");
  }
  const amount = BigInt((match[1] || "0") + part.padEnd(decimals, "0"));
  if (amount > MAX_AMOUNT) throw new Error("Too much: an amount ends at 2^63 − 1 units");
  return amount;
}
