//! Transactions: building, signing, submitting, looking them up.

use super::accounts::{COUNT, FROM};
use super::{
    Answer, Command, Endpoint, Flag, addition, at_least, between, exactly, row, switch, text,
};
use crate::body::{
    Kind, argument, build, chain_templates, flag, raw_transactions, signed, templates, whole,
};

const PRETTY: Flag = switch("pretty", "pretty print json result");
const PASSWORD: Flag = text(
    "password",
    "password of the account which sign these transaction(s)",
)
.letter('p')
.required();

const BUILD_FLAGS: &[Flag] = &[
    text(
        "type",
        "transaction type, valid types: 'issue', 'spend', 'address', 'retire', 'unlock'; \
         not in bytomcli: 'vote', 'veto', 'register'",
    )
    .letter('t')
    .required(),
    text("receiver", "program of receiver when type is spend")
        .letter('r')
        .required_if("type", "spend"),
    text("address", "address of receiver when type is issue, address, vote or veto").letter('a'),
    text("program", "program of receiver when type is unlock, of the contract when type is register").letter('p'),
    text("arbitrary", "additional arbitrary data when type is retire").letter('v'),
    text("gas", "gas of this transaction").letter('g').or("20000000"),
    text(
        "contract-name",
        "name of template contract when type is unlock: 'LockWithPublicKey', 'LockWithMultiSig', \
         'LockWithPublicKeyHash', 'RevealPreimage', 'TradeOffer', 'Escrow', 'CallOption', 'LoanCollateral'",
    )
    .letter('c'),
    text("vote", "xpub of the validator when type is vote or veto").added(),
    PRETTY,
    switch("alias", "use alias build transaction"),
];

pub(super) const ROWS: &[Command] = &[
    row(
        "build-transaction",
        "<accountID|alias> <assetID|alias> <amount> [outputID]",
        "Build one transaction template,default use account id and asset id",
    )
    .of_wallet()
    .takes(between(3, 20))
    .flags(BUILD_FLAGS)
    .makes(build)
    .prints(Answer::Template),
    row(
        "sign-transaction",
        "<json templates>",
        "Sign transaction templates with account password",
    )
    .of_wallet()
    .takes(exactly(1))
    .flags(&[PASSWORD, PRETTY])
    .sends(&[
        flag("password", "password"),
        argument("transaction", 0).is(Kind::Template),
    ])
    .prints(Answer::Signed),
    row(
        "submit-transaction",
        "<signed json raw_transaction>",
        "Submit signed transaction",
    )
    .takes(exactly(1))
    .makes(signed),
    row(
        "estimate-transaction-gas",
        "<json templates>",
        "estimate gas for build transaction",
    )
    .takes(exactly(1))
    .sends(&[argument("transaction_template", 0).is(Kind::Template)]),
    row(
        "decode-raw-transaction",
        "<raw_transaction>",
        "decode the raw transaction",
    )
    .takes(exactly(1))
    .sends(&[argument("raw_transaction", 0).is(Kind::Transaction)]),
    row(
        "get-transaction",
        "<hash>",
        "get the transaction by matching the given transaction hash",
    )
    .of_wallet()
    .takes(exactly(1))
    .sends(&[argument("tx_id", 0)]),
    row("list-transactions", "", "List the transactions")
        .of_wallet()
        .flags(&[
            text("id", "transaction id"),
            text("account_id", "account id"),
            switch("detail", "list transactions details"),
            switch("unconfirmed", "list unconfirmed transactions"),
            FROM.added(),
            COUNT.added(),
        ])
        .sends(&[
            flag("id", "id"),
            flag("account_id", "account_id"),
            flag("detail", "detail").is(Kind::Bool),
            flag("unconfirmed", "unconfirmed").is(Kind::Bool),
            flag("from", "from").is(Kind::Count).if_given(),
            flag("count", "count").is(Kind::Count).if_given(),
        ])
        .prints(Answer::List),
    row(
        "get-unconfirmed-transaction",
        "<hash>",
        "get unconfirmed transaction by matching the given transaction hash",
    )
    .takes(exactly(1))
    .sends(&[argument("tx_id", 0).is(Kind::Hex)]),
    row(
        "list-unconfirmed-transactions",
        "",
        "list unconfirmed transactions hashes",
    ),
    addition(
        "build-actions",
        "<json request>",
        "Build a template of any actions: {\"actions\": […], \"ttl\": 0, \"time_range\": 0}",
    )
    .of_wallet()
    .calls(Endpoint::Named("build-transaction"))
    .takes(exactly(1))
    .makes(whole),
    addition(
        "build-chain-transactions",
        "<json request>",
        "The same, gathering many small outputs by a chain of templates",
    )
    .of_wallet()
    .takes(exactly(1))
    .makes(whole)
    .prints(Answer::Any),
    addition(
        "sign-transactions",
        "<json list of templates>",
        "Sign several templates with one password",
    )
    .of_wallet()
    .takes(exactly(1))
    .flags(&[PASSWORD, PRETTY])
    .makes(templates)
    .prints(Answer::Signed),
    addition(
        "submit-transactions",
        "<signed json raw_transaction(s)>",
        "Submit several signed transactions, in this order",
    )
    .takes(at_least(1))
    .makes(raw_transactions),
    addition(
        "estimate-chain-transaction-gas",
        "<json list of templates>",
        "Estimate the gas of a chain of templates",
    )
    .takes(exactly(1))
    .makes(chain_templates),
];
