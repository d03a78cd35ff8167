//! Keys and what is signed with them.

use super::{Answer, Command, exactly, row, text};
use crate::body::{Kind, argument, flag};

pub(super) const ROWS: &[Command] = &[
    row("create-key", "<alias> <password>", "Create a key")
        .of_wallet()
        .takes(exactly(2))
        .flags(&[
            text(
                "mnemonic",
                "import the key of this phrase instead of making one",
            )
            .added(),
            text(
                "language",
                "language of the phrase: en, zh_CN, zh_TW, it, ja, ko, es",
            )
            .added(),
        ])
        .sends(&[
            argument("alias", 0),
            argument("password", 1),
            flag("mnemonic", "mnemonic").if_given(),
            flag("language", "language").if_given(),
        ]),
    row("delete-key", "<xpub> <password>", "Delete a key")
        .of_wallet()
        .takes(exactly(2))
        .sends(&[
            argument("xpub", 0).is(Kind::Xpub).complains("delete-key: "),
            argument("password", 1),
        ])
        .says("Successfully delete key"),
    row("list-keys", "", "List the existing keys")
        .of_wallet()
        .prints(Answer::List),
    row("update-key-alias", "<xpub> <new-alias>", "Update key alias")
        .takes(exactly(2))
        .sends(&[
            argument("xpub", 0)
                .is(Kind::Xpub)
                .complains("update-key-alias xpub not valid: "),
            argument("new_alias", 1),
        ])
        .says("Successfully update key alias"),
    row(
        "reset-key-password",
        "<xpub> <old-password> <new-password>",
        "Reset key password",
    )
    .of_wallet()
    .takes(exactly(3))
    .sends(&[
        argument("xpub", 0)
            .is(Kind::Xpub)
            .complains("reset-key-password args not valid: "),
        argument("old_password", 1),
        argument("new_password", 2),
    ]),
    row(
        "check-key-password",
        "<xpub> <password>",
        "check key password",
    )
    .of_wallet()
    .takes(exactly(2))
    .sends(&[
        argument("xpub", 0)
            .is(Kind::Xpub)
            .complains("check-key-password args not valid: "),
        argument("password", 1),
    ]),
    row(
        "sign-message",
        "<address> <message> <password>",
        "sign message to generate signature",
    )
    .of_wallet()
    .takes(exactly(3))
    .sends(&[
        argument("address", 0),
        argument("message", 1)
            .is(Kind::Hex)
            .complains("sign-message args not valid: "),
        argument("password", 2),
    ]),
    row(
        "verify-message",
        "<address> <xpub> <message> <signature>",
        "verify signature for specified message",
    )
    .takes(exactly(4))
    .sends(&[
        argument("address", 0),
        argument("derived_xpub", 1).is(Kind::Xpub),
        argument("message", 2)
            .is(Kind::Hex)
            .complains("sign-message args not valid: "),
        argument("signature", 3),
    ]),
];
