// The time between the latest blocks as bars, newest at the right: a stall is a tall bar.

import { h, put, svg } from "../base/dom.js";
import { seconds } from "../base/format.js";
import { gaps, median } from "../node/chain.js";

const HEIGHT = 56;
const STEP = 8;
const CEILING = 4; // medians

/** @returns { element, update(lines) } for lines as chain.linesBelow gives them */
export function gapChart() {
  const element = h("div.gaps");
  return { element, update: (lines) => put(element, drawing(gaps(lines).reverse(), lines)) };
}

function drawing(times, lines) {
  if (times.length < 2) return h("p.faint.small", "The chart begins with the third block.");
  const usual = median(times);
  const most = Math.max(...times);
  // cut off, or one long stall would flatten all the others
  const top = Math.max(Math.min(most, usual * CEILING), usual * 2, 1);
  const bars = times.map((time, index) => {
    const height = Math.min(HEIGHT, Math.max(2, (time / top) * HEIGHT));
    const slow = time > usual * 3;
    const bar = svg("rect", {
      x: index * STEP,
      y: HEIGHT - height,
      width: STEP - 2,
      height,
      class: slow ? "gap slow" : "gap",
    });
    bar.append(
      svg("title", `Block ${lines[0].height - (times.length - 1 - index)}: ${seconds(time)} after the one before`),
    );
    return bar;
  });
  const said = `Time between the last ${times.length + 1} blocks: usually ${seconds(usual)}, at most ${seconds(most)}.`;
  return [
    svg(
      "svg",
      {
        viewBox: `0 0 ${times.length * STEP - 2} ${HEIGHT}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": said,
        class: "gap-bars",
      },
      bars,
    ),
    h(
      "p.gap-legend",
      h("span", `${times.length} blocks`),
      h("span", `median ${seconds(usual)}`),
      h("span", `longest ${seconds(most)}`),
    ),
  ];
}
