//! Upgrades of the network, of which the federation decides. Only batond has them.

use super::{Command, Flag, addition, at_least, exactly, switch, text};
use crate::body::{Field, Kind, argument, flag, rest};

const INFO: Flag = text(
    "info",
    "what supervisors should know, such as where binaries are",
);
const CANCEL: Flag = switch("cancel", "give the plan of this name up instead");

const NAME: Field = argument("name", 0);
const HEIGHT: Field = argument("height", 1).is(Kind::Count);
const SENT_INFO: Field = flag("info", "info");
const SENT_CANCEL: Field = flag("cancel", "cancel").is(Kind::Bool);

pub(super) const ROWS: &[Command] = &[
    addition(
        "get-upgrade-plan",
        "",
        "Print the planned upgrade and who decides on plans",
    ),
    addition(
        "sign-upgrade-plan",
        "<name> <height>",
        "Sign a plan as this member of the federation, on the node's machine",
    )
    .takes(exactly(2))
    .flags(&[INFO, CANCEL])
    .sends(&[NAME, HEIGHT, SENT_INFO, SENT_CANCEL]),
    addition(
        "build-upgrade-transaction",
        "<name> <height> <json signature(s)>",
        "Build the transaction that plans or cancels, of what sign-upgrade-plan printed",
    )
    .of_wallet()
    .takes(at_least(3))
    .flags(&[
        INFO,
        CANCEL,
        text("id", "ID of the account that pays"),
        text("alias", "alias of the account that pays"),
    ])
    .sends(&[
        NAME,
        HEIGHT,
        SENT_INFO,
        SENT_CANCEL,
        rest("signatures", 2).is(Kind::Jsons),
        flag("account_id", "id"),
        flag("account_alias", "alias"),
    ]),
];
