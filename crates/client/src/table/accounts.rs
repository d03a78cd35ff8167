//! Accounts, their addresses, what they have.

use serde_json::{Value, json};

use super::{
    Answer, Command, Flag, addition, at_least, between, count, exactly, number, row, switch, text,
};
use crate::body::{Complaint, Field, Kind, argument, flag, rest};
use crate::input::Input;

/// Which account, by `--id` or `--alias`.
const ACCOUNT_FLAGS: &[Flag] = &[text("id", "account ID"), text("alias", "account alias")];
const ACCOUNT: &[Field] = &[flag("account_id", "id"), flag("account_alias", "alias")];

pub(super) const FROM: Flag = count("from", "the starting position of a page");
pub(super) const COUNT: Flag = count("count", "the longest count per page");

pub(super) const QUORUM: Flag = number(
    "quorom",
    "quorum must be greater than 0 and less than or equal to the number of signers",
)
.letter('q')
.or("1");
pub(super) const ACCESS: Flag =
    text("access", "access token (no node looks at it: use --token)").letter('a');

pub(super) const ROWS: &[Command] = &[
    row("create-account", "<alias> <xpub(s)>", "Create an account")
        .of_wallet()
        .takes(at_least(2))
        .flags(&[QUORUM, ACCESS])
        .sends(&[
            rest("root_xpubs", 1).is(Kind::Xpubs),
            flag("quorum", "quorom").is(Kind::Number),
            argument("alias", 0),
            flag("access_token", "access"),
        ]),
    row("update-account-alias", "<newAlias>", "update account alias")
        .of_wallet()
        .takes(exactly(1))
        .flags(ACCOUNT_FLAGS)
        .sends(&[
            flag("account_id", "id"),
            flag("account_alias", "alias"),
            argument("new_alias", 0),
        ])
        .says("Successfully update account alias"),
    row("list-accounts", "", "List the existing accounts")
        .of_wallet()
        .flags(ACCOUNT_FLAGS)
        .sends(&[flag("id", "id"), flag("alias", "alias")])
        .prints(Answer::List),
    row("delete-account", "", "Delete the existing account")
        .of_wallet()
        .flags(ACCOUNT_FLAGS)
        .sends(ACCOUNT)
        .says("Successfully delete account"),
    row(
        "create-account-receiver",
        "<accountAlias> [accountID]",
        "Create an account receiver",
    )
    .of_wallet()
    .takes(between(1, 2))
    .sends(&[argument("account_id", 1), argument("account_alias", 0)]),
    row("list-addresses", "", "List the account addresses")
        .of_wallet()
        .flags(&[
            text("id", "account ID"),
            text("alias", "account alias"),
            FROM.added(),
            COUNT.added(),
        ])
        .sends(&[
            flag("account_id", "id"),
            flag("account_alias", "alias"),
            flag("from", "from").is(Kind::Count).if_given(),
            flag("count", "count").is(Kind::Count).if_given(),
        ])
        .prints(Answer::List),
    row(
        "validate-address",
        "<address>",
        "validate the account addresses",
    )
    .of_wallet()
    .takes(exactly(1))
    .sends(&[argument("address", 0)]),
    row(
        "list-pubkeys",
        "<accountInfo> [publicKey]",
        "list the account pubkeys",
    )
    .of_wallet()
    .takes(between(1, 2))
    .makes(pubkeys),
    row("list-balances", "", "List the accounts balances")
        .of_wallet()
        .flags(ACCOUNT_FLAGS)
        .sends(ACCOUNT)
        .prints(Answer::List),
    row(
        "list-unspent-outputs",
        "",
        "List the accounts unspent outputs",
    )
    .of_wallet()
    .flags(&[
        text("account_id", "account ID"),
        text("account_alias", "account alias"),
        text("id", "ID of unspent output"),
        switch("unconfirmed", "list unconfirmed unspent outputs"),
        switch("contract", "list smart contract unspent outputs"),
        FROM,
        COUNT,
    ])
    .sends(&[
        flag("account_id", "account_id"),
        flag("account_alias", "account_alias"),
        flag("id", "id"),
        flag("unconfirmed", "unconfirmed").is(Kind::Bool),
        flag("smart_contract", "contract").is(Kind::Bool),
        flag("from", "from").is(Kind::Count),
        flag("count", "count").is(Kind::Count),
    ])
    .prints(Answer::List),
    addition("list-account-votes", "", "List the votes of accounts")
        .of_wallet()
        .flags(ACCOUNT_FLAGS)
        .sends(ACCOUNT)
        .prints(Answer::List),
];

/// `list-pubkeys` takes an account's id or alias for one argument: what has the form of an id is one.
#[expect(
    clippy::unnecessary_wraps,
    reason = "rows take functions that may complain"
)]
fn pubkeys(input: &Input) -> Result<Value, Complaint> {
    let account = input.argument(0);
    let is_v1_id = account.len() == 13 && account.starts_with('0');
    let (id, alias) = if is_v1_id || is_uuid(account) {
        (account, "")
    } else {
        ("", account)
    };
    Ok(json!({ "account_id": id, "account_alias": alias, "public_key": input.argument(1) }))
}

/// Lower-case digits in groups of 8, 4, 4, 4 and 12: the ids of v2.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    let is_group = |group: &&str| {
        group
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    };
    groups.iter().all(is_group) && groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
}
