//! Contracts and their instances.

use super::{Answer, Command, addition, exactly};
use crate::body::{Kind, argument};

pub(super) const ROWS: &[Command] = &[
    addition(
        "create-contract",
        "<alias> <contract>",
        "Remember a contract under an alias",
    )
    .takes(exactly(2))
    .sends(&[argument("alias", 0), argument("contract", 1).is(Kind::Hex)]),
    addition(
        "update-contract-alias",
        "<contractID> <newAlias>",
        "Update the contract alias",
    )
    .takes(exactly(2))
    .sends(&[argument("id", 0).is(Kind::Hex), argument("alias", 1)])
    .says("Successfully update contract alias"),
    addition("get-contract", "<contractID>", "Get a contract by its ID")
        .takes(exactly(1))
        .sends(&[argument("id", 0).is(Kind::Hex)]),
    addition("list-contracts", "", "List the remembered contracts").prints(Answer::List),
    addition(
        "create-contract-instance",
        "<txID> <blockHash>",
        "Trace the contracts that a transaction starts",
    )
    .takes(exactly(2))
    .sends(&[
        argument("tx_hash", 0).is(Kind::Hex),
        argument("block_hash", 1).is(Kind::Hex),
    ])
    .prints(Answer::Any),
    addition(
        "get-contract-instance",
        "<traceID>",
        "Get a traced contract",
    )
    .takes(exactly(1))
    .sends(&[argument("trace_id", 0)]),
    addition(
        "remove-contract-instance",
        "<traceID>",
        "Stop tracing a contract",
    )
    .takes(exactly(1))
    .sends(&[argument("trace_id", 0)])
    .says("Successfully remove contract instance"),
];
