// The first fields of a raw block or header: flags, version, height, previous hash, time. They are all that a
// block pushed over the WebSocket is asked for, and a header is far smaller than a block.

/** Hex → { height, previous, time (ms) }; null if it is no block. */
export function headerFrom(hex) {
  if (typeof hex !== "string" || !/^0[13]/.test(hex)) return null;
  const cursor = { hex, at: 2 };
  const version = varint(cursor);
  const height = varint(cursor);
  const previous = take(cursor, 64);
  const time = varint(cursor);
  return version === null || height === null || previous === null || time === null ? null : { height, previous, time };
}

function take(cursor, length) {
  const part = cursor.hex.slice(cursor.at, cursor.at + length);
  cursor.at += length;
  return part.length === length && /^[0-9a-f]*$/i.test(part) ? part : null;
}

// LEB128; none of these fields reaches 2^53
function varint(cursor) {
  let value = 0;
  for (let scale = 1; scale < 2 ** 53; scale *= 128) {
    const part = take(cursor, 2);
    if (part === null) return null;
    const octet = parseInt(part, 16);
    value += (octet & 127) * scale;
    if (octet < 128) return Number.isSafeInteger(value) ? value : null;
  }
  return null;
}
