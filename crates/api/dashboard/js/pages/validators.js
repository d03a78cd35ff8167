// Who was elected, with how many votes.

import { h } from "../base/dom.js";
import { known } from "../base/signal.js";
import { call } from "../node/call.js";
import { net, tip } from "../node/pulse.js";
import { to } from "../shell/router.js";
import { section, sheet } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { table } from "../ui/table.js";
import { hash, money } from "../ui/value.js";

export function page(scope) {
  const list = table(
    [
      { head: "#", class: "num", cell: ({ place }) => String(place) },
      {
        head: "Validator",
        class: "more",
        cell: ({ vote, own }) => [
          hash(vote, { what: "the validator’s public key" }),
          own && [" ", h("span.tag.own", "this node")],
        ],
      },
      { head: "Votes", class: "num", cell: ({ votes }) => money(votes) },
      { head: "Share", class: "num wide", cell: ({ share }) => `${share} %` },
      {
        head: "",
        class: "acts",
        cell: ({ vote }) =>
          h("a.button.small", { href: to("send", "", { mode: "actions", does: "vote", vote }) }, "Vote"),
      },
    ],
    {
      caption: "Candidates by votes",
      key: ({ vote }) => vote,
      none: empty(
        "Nobody has votes",
        "Without enough votes the validators are those of the genesis: the federation, or on a solonet this node alone.",
      ),
    },
  );
  const load = async (signal) => {
    const { height } = await known(tip);
    return rowsOf((await call("get-vote-result", { block_height: height }, { signal })) ?? []);
  };
  return sheet(
    "Validators",
    {
      note: "The ten with the most votes make the blocks of the next 100. Votes are counted at the end of each such epoch.",
    },
    section(
      "Votes as of the last count",
      {},
      pane(scope, load, () => list, { on: [tip] }),
    ),
  );
}

function rowsOf(votes) {
  const total = votes.reduce((sum, { vote_number: number }) => sum + BigInt(number), 0n);
  return votes
    .map(({ vote, vote_number: number }) => ({ vote, votes: BigInt(number), own: vote === net.value?.node_xpub }))
    .sort((a, b) => (b.votes > a.votes ? 1 : b.votes < a.votes ? -1 : 0))
    .map((row, index) => ({
      ...row,
      place: index + 1,
      share: total ? (Number((row.votes * 1000n) / total) / 10).toFixed(1) : "0",
    }));
}
