//! The wallet as a whole.

use super::{Command, addition, at_least, exactly, row};
use crate::body::{Kind, rest, whole};

pub(super) const ROWS: &[Command] = &[
    row("wallet-info", "", "Print the information of wallet").of_wallet(),
    row(
        "rescan-wallet",
        "",
        "Trigger to rescan block information into related wallet",
    )
    .of_wallet()
    .says("Successfully trigger rescanning wallet"),
    addition(
        "backup-wallet",
        "",
        "Print all keys (still encrypted), accounts and assets",
    )
    .of_wallet(),
    addition(
        "restore-wallet",
        "<json>",
        "Restore what backup-wallet printed: @FILE, or - for standard input",
    )
    .of_wallet()
    .takes(exactly(1))
    .makes(whole)
    .says("Successfully restore wallet"),
    addition(
        "recovery-wallet",
        "<xpub(s)>",
        "Find the accounts and addresses of root keys again",
    )
    .of_wallet()
    .takes(at_least(1))
    .sends(&[rest("xpubs", 0).is(Kind::Xpubs)])
    .says("Successfully trigger recovering wallet"),
];
