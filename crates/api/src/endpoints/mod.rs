//! The endpoints, by subject.
#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "all endpoints are of one kind: a request, read and given, and an answer that may be a refusal"
)]

mod accounts;
mod assets;
mod backup;
mod blocks;
mod building;
mod contracts;
mod feeds;
mod health;
mod history;
mod keys;
mod messages;
mod network;
mod pool;
mod tokens;
mod upgrades;
mod walleting;

use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::Answer,
    request::Ignored,
    table::{Endpoint, Lane},
};

pub(crate) use health::{figures, healthz, readyz};

/// All endpoints, in the order in which they are told.
pub(crate) fn all() -> Vec<Endpoint> {
    let mut all = Vec::new();
    for subject in [
        accounts::table,
        assets::table,
        keys::table,
        messages::table,
        building::table,
        pool::table,
        history::table,
        walleting::table,
        backup::table,
        contracts::table,
        feeds::table,
        blocks::table,
        network::table,
        tokens::table,
        upgrades::table,
    ] {
        all.extend(subject());
    }
    all.push(
        Endpoint::always("error", Lane::Here, error)
            .doc("Where requests for the wallet are sent while there is none."),
    );
    all
}

fn error(_: &Namespace, _: Ignored) -> Answer {
    Err(Fault::plain(
        "wallet not found, please check that the wallet is open",
    ))
}
