// How times, sizes and counts are written.

const pad = (number, width = 2) => String(number).padStart(width, "0");

/** Milliseconds → "2026-11-30 14:02:07", in the reader's own zone. */
export function dateTime(ms) {
  const d = new Date(Number(ms));
  if (Number.isNaN(d.getTime())) return "–";
  const date = `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
  return `${date} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

/** The two halves of that, for a column that has no room for both. */
export const dateAndTime = (ms) => dateTime(ms).split(" ");

/** A length of time in at most two units: "4 s", "3 min 20 s", "5 h 12 min", "9 d 3 h". */
export function duration(ms) {
  const s = Math.max(0, Math.round(Number(ms) / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
}

const two = (a, unitA, b, unitB) => (b ? `${a} ${unitA} ${b} ${unitB}` : `${a} ${unitA}`);

/** A length of time with a decimal, for intervals between blocks: "6.0 s". */
export function seconds(ms) {
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms);
}

export function bytes(count) {
  const n = Number(count);
  if (n < 1024) return `${n} B`;
  if (n < 1024 * 1024) return `${(n / 1024).toFixed(1)} KiB`;
  return `${(n / 1024 / 1024).toFixed(1)} MiB`;
}

export const plural = (count, one, many = `${one}s`) => `${count} ${Number(count) === 1 ? one : many}`;

/** The node tells some times in seconds and some in milliseconds (an unconfirmed transaction's). */
export const toMs = (time) => (Number(time) < 1e11 ? Number(time) * 1000 : Number(time));

/** Hex of a short text → that text, if it is printable; else null. */
export function textOfHex(hex) {
  if (!/^(?:[0-9a-f]{2})+$/i.test(hex ?? "")) return null;
  const octets = Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(octets);
    return /^[^\p{C}]+$/u.test(text) ? text : null;
  } catch {
    return null;
  }
}

export function hexOfText(text) {
  return Array.from(new TextEncoder().encode(text), (octet) => octet.toString(16).padStart(2, "0")).join("");
}
