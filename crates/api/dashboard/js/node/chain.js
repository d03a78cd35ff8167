// Blocks by height, as the lists need them: a line each. What a block says does not change, so it is asked for once.

import { call } from "./call.js";

const KEPT = 600;
const AT_ONCE = 4;
const lines = new Map();

/** { height, hash, previous, time, count, size (bytes), validator } */
export function lineFrom(block) {
  return {
    height: block.height,
    hash: block.hash,
    previous: block.previous_block_hash,
    time: block.timestamp,
    count: block.transactions?.length ?? 0,
    // the node tells the length of the hex
    size: Math.round(Number(block.size) / 2),
    validator: block.validator ?? "",
  };
}

/** The lines of the blocks from `top` down, as many as there are up to `count`. */
export async function linesBelow(top, count, { signal } = {}) {
  const heights = [];
  for (let height = top; height >= 0 && heights.length < count; height -= 1) heights.push(height);
  const wanted = heights.filter((height) => !lines.has(height));
  const next = async () => {
    for (let height = wanted.shift(); height !== undefined; height = wanted.shift()) {
      keep(lineFrom(await call("get-block", { block_height: height }, { signal })));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  return heights.map((height) => lines.get(height)).filter(Boolean);
}

/** Another branch won: what we know of the heights is void. */
export function forget() {
  lines.clear();
}

function keep(line) {
  const child = lines.get(line.height + 1);
  const parent = lines.get(line.height - 1);
  if ((child && child.previous !== line.hash) || (parent && parent.hash !== line.previous)) forget();
  lines.set(line.height, line);
  if (lines.size > KEPT) lines.delete(lines.keys().next().value);
}

/** Milliseconds between blocks that follow each other, newest first, from lines that run downwards. */
export function gaps(lines) {
  return (
    lines
      .slice(0, -1)
      .map((line, index) => ({ line, below: lines[index + 1] }))
      // the genesis was written long before the chain began
      .filter(({ line, below }) => below.height === line.height - 1 && below.height > 0)
      .map(({ line, below }) => line.time - below.time)
  );
}

/** The middle one of some numbers, which one long pause does not move; null of none. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
}
