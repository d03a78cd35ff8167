//! Access tokens.

use super::{Answer, Command, exactly, row, text};
use crate::body::{argument, flag};

pub(super) const ROWS: &[Command] = &[
    row(
        "create-access-token",
        "<tokenID>",
        "Create a new access token",
    )
    .takes(exactly(1))
    .flags(&[text("type", "whatever you want to write on it").added()])
    .sends(&[argument("id", 0), flag("type", "type").if_given()]),
    row("list-access-tokens", "", "List the existing access tokens").prints(Answer::List),
    row("delete-access-token", "<tokenID>", "Delete an access token")
        .takes(exactly(1))
        .sends(&[argument("id", 0)])
        .says("Successfully delete access token"),
    row(
        "check-access-token",
        "<tokenID> <secret>",
        "Check an access token",
    )
    .takes(exactly(2))
    .sends(&[argument("id", 0), argument("secret", 1)])
    .says("Valid access token"),
];
