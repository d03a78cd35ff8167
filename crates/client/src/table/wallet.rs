//! The wallet as a whole.

use serde_json::{Value, json};

use super::{Answer, Command, addition, at_least, count, exactly, row};
use crate::body::{Complaint, Kind, amount, flag, rest, whole};
use crate::input::Input;

pub(super) const ROWS: &[Command] = &[
    row("wallet-info", "", "Print the information of wallet").of_wallet(),
    row(
        "rescan-wallet",
        "",
        "Trigger to rescan block information into related wallet",
    )
    .of_wallet()
    .flags(&[count(
        "from",
        "the first block to look at again; only batond knows it",
    )
    .added()])
    .sends(&[flag("from_height", "from").is(Kind::Count).if_given()])
    .says("Successfully trigger rescanning wallet"),
    addition(
        "list-reservations",
        "",
        "List the outputs that built transactions hold back (of batond)",
    )
    .of_wallet()
    .prints(Answer::List),
    addition(
        "release-reservation",
        "<reservationID> | <outputID>",
        "Let go of outputs that are held back (of batond)",
    )
    .of_wallet()
    .takes(exactly(1))
    .makes(reservation),
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

/// A reservation has a number; an output's id has more digits than any number.
fn reservation(input: &Input) -> Result<Value, Complaint> {
    let which = input.argument(0);
    if which.len() == 64 {
        return Ok(json!({ "output_id": which }));
    }
    Ok(json!({ "id": amount(which)? }))
}
