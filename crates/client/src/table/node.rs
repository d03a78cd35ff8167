//! The node itself: its network, its peers, whether it proposes blocks.

use super::{Answer, Command, Endpoint, addition, between, exactly, in_v1, row};
use crate::body::{Kind, argument, posted};

pub(super) const ROWS: &[Command] = &[
    row("net-info", "", "Print the summary of network"),
    row("gas-rate", "", "Print the current gas rate"),
    in_v1("is-mining", "", "If client is actively mining new blocks"),
    in_v1("set-mining", "<true or false>", "start or stop mining")
        .takes(exactly(1))
        .sends(&[argument("is_mining", 0).is(Kind::Bool)])
        .prints(Answer::Switched(
            "start mining success",
            "stop mining success",
        )),
    addition(
        "get-mining-address",
        "",
        "Get the address that block rewards go to",
    ),
    addition(
        "set-mining-address",
        "<address>",
        "Set the address that block rewards go to",
    )
    .takes(exactly(1))
    .sends(&[argument("mining_address", 0)]),
    addition("list-peers", "", "List the connected peers").prints(Answer::List),
    addition("connect-peer", "<ip> <port>", "Connect to a peer")
        .takes(exactly(2))
        .sends(&[argument("ip", 0), argument("port", 1).is(Kind::Count)]),
    addition("disconnect-peer", "<peerID>", "Disconnect from a peer")
        .takes(exactly(1))
        .sends(&[argument("peer_id", 0)])
        .says("Successfully disconnect peer"),
    addition(
        "post",
        "<endpoint> [json]",
        "Call any endpoint; the JSON may be @FILE, or - for standard input",
    )
    .takes(between(1, 2))
    .calls(Endpoint::Typed)
    .makes(posted)
    .prints(Answer::Any),
];
