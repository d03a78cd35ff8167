//! Transaction feeds.

use super::{Answer, Command, exactly, row};
use crate::body::argument;

pub(super) const ROWS: &[Command] = &[
    row(
        "create-transaction-feed",
        "<alias> <filter>",
        "Create a transaction feed filter",
    )
    .takes(exactly(2))
    .sends(&[argument("alias", 0), argument("filter", 1).if_not_empty()])
    .says("Successfully created transaction feed"),
    row(
        "list-transaction-feeds",
        "",
        "list all of transaction feeds",
    )
    .prints(Answer::List),
    row(
        "delete-transaction-feed",
        "<alias>",
        "Delete a transaction feed filter",
    )
    .takes(exactly(1))
    .sends(&[argument("alias", 0)])
    .says("Successfully deleted transaction feed"),
    row(
        "get-transaction-feed",
        "<alias>",
        "get a transaction feed by alias",
    )
    .takes(exactly(1))
    .sends(&[argument("alias", 0)]),
    row(
        "update-transaction-feed",
        "<alias> <filter>",
        "Update transaction feed",
    )
    .takes(exactly(2))
    .sends(&[argument("alias", 0), argument("filter", 1).if_not_empty()])
    .says("Successfully updated transaction feed"),
];
