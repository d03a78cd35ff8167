// Who this node is connected to.

import { h } from "../base/dom.js";
import { bytes } from "../base/format.js";
import { call } from "../node/call.js";
import { hurry, net, tip } from "../node/pulse.js";
import { ask } from "../ui/confirm.js";
import { field, input, required, Wrong } from "../ui/form.js";
import { section, sheet } from "../ui/layout.js";
import { empty, pane } from "../ui/pane.js";
import { table } from "../ui/table.js";
import { hash, state } from "../ui/value.js";

export function page(scope) {
  const list = table(
    [
      { head: "Peer", cell: ({ moniker }) => moniker || h("span.faint", "no name") },
      { head: "Address", cell: ({ remote_addr: address }) => h("code", address) },
      { head: "Height", class: "num", cell: (peer) => heightOf(peer) },
      { head: "Ping", class: "num wide", cell: ({ ping }) => ping },
      { head: "Connected", class: "num wide", cell: ({ duration }) => duration },
      { head: "Sent", class: "num wide", cell: (peer) => traffic(peer.total_sent, peer.current_sent_rate) },
      { head: "Received", class: "num wide", cell: (peer) => traffic(peer.total_received, peer.current_received_rate) },
      { head: "Id", class: "grow wide", cell: ({ peer_id: id }) => hash(id, { what: "the peer’s id" }) },
      {
        head: "",
        class: "acts",
        cell: (peer) => h("button", { type: "button", onclick: () => disconnect(peer) }, "Disconnect"),
      },
    ],
    {
      caption: "Peers",
      key: ({ peer_id: id }) => id,
      none: empty(
        "No peers",
        "Connect one by its address, or start the node with --p2p.seeds or --p2p.keep_dial. A solonet needs none.",
      ),
    },
  );
  const element = pane(
    scope,
    (signal) => call("list-peers", {}, { signal }).then((peers) => peers ?? []),
    () => list,
    { on: [net, tip] },
  );
  scope.every(5000, element.reload);

  function connect() {
    const address = input({ placeholder: "192.0.2.7:46657", class: "mono" });
    ask({
      title: "Connect a peer",
      fields: [field("Address", address, { hint: "IP address and port" })],
      submit: "Connect",
      act: async () => {
        const peer = await call("connect-peer", addressFrom(address));
        hurry();
        element.reload();
        return `Connected to ${peer?.moniker || address.value}`;
      },
    });
  }

  function disconnect({ peer_id: id, moniker, remote_addr: address }) {
    ask({
      title: "Disconnect the peer",
      says: `${moniker || "It"} at ${address} may connect again, and this node may dial it again.`,
      submit: "Disconnect",
      danger: true,
      act: async () => {
        await call("disconnect-peer", { peer_id: id });
        hurry();
        element.reload();
        return `Disconnected from ${address}`;
      },
    });
  }

  return sheet(
    "Peers",
    { acts: h("button.primary", { type: "button", onclick: connect }, "Connect a peer") },
    section("Peers", {}, element),
  );
}

function addressFrom(control) {
  const match = /^\[?([0-9a-f.:]+?)\]?:(\d{1,5})$/i.exec(required(control, "An address"));
  if (!match || Number(match[2]) < 1 || Number(match[2]) > 65535)
    throw new Wrong(control, "An IP address and a port, as 192.0.2.7:46657 or [2001:db8::7]:46657");
  return { ip: match[1], port: Number(match[2]) };
}

function heightOf({ height }) {
  const ahead = height - (tip.value?.height ?? height);
  return ahead > 1 ? state("warn", `${height}, ahead by ${ahead}`) : String(height);
}

const traffic = (total, rate) => [bytes(total), rate > 0 && h("span.faint", ` ${bytes(rate)}/s`)];
