//! Assets.

use super::accounts::{ACCESS, QUORUM};
use super::{Answer, Command, between, exactly, row, text};
use crate::body::{Kind, argument, flag, rest};

pub(super) const ROWS: &[Command] = &[
    row("create-asset", "<alias> <xpub(s)>", "Create an asset")
        .of_wallet()
        .takes(between(1, 5))
        .flags(&[
            QUORUM,
            ACCESS,
            text("definition", "definition for the asset: name:value").letter('d'),
            text("issueprogram", "issue program for the asset").letter('i'),
        ])
        .sends(&[
            rest("root_xpubs", 1).is(Kind::Xpubs),
            flag("quorum", "quorom").is(Kind::Number),
            argument("alias", 0),
            flag("definition", "definition").is(Kind::Definition),
            flag("issuance_program", "issueprogram").is(Kind::Hex),
            flag("access_token", "access"),
        ]),
    row("get-asset", "<assetID>", "get asset by assetID")
        .of_wallet()
        .takes(exactly(1))
        .sends(&[argument("id", 0)]),
    row("list-assets", "", "List the existing assets")
        .of_wallet()
        .flags(&[text("id", "ID of asset")])
        .sends(&[flag("id", "id")])
        .prints(Answer::List),
    row(
        "update-asset-alias",
        "<assetID> <newAlias>",
        "Update the asset alias",
    )
    .of_wallet()
    .takes(exactly(2))
    .sends(&[argument("id", 0), argument("alias", 1)])
    .says("Successfully update asset alias"),
];
