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

use baton_wallet::Page;

use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::Answer,
    request::Ignored,
    table::{Endpoint, Lane},
};

pub(crate) use health::{For, figures, healthz, readyz};

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

/// Most entries of a list that are told at once.
const MAX_ENTRIES: usize = 100_000;

/// A page of a list. bytomd tells all of it if no page is named, however long it is; here that ends somewhere.
fn page(from: usize, count: usize) -> Result<Page, Fault> {
    match (from, count) {
        (0, 0) => Ok(Page {
            from: 0,
            count: MAX_ENTRIES + 1,
        }),
        (_, count) if count > MAX_ENTRIES => Err(too_long()),
        _ => Ok(Page { from, count }),
    }
}

fn too_long() -> Fault {
    Fault::plain(format!(
        "more than {MAX_ENTRIES} entries: ask for pages of them, with from and count"
    ))
}

/// The entries of a page, unless there are too many.
fn within<T>(entries: Vec<T>) -> Result<Vec<T>, Fault> {
    if entries.len() > MAX_ENTRIES {
        return Err(too_long());
    }
    Ok(entries)
}

fn error(_: &Namespace, _: Ignored) -> Answer {
    Err(Fault::plain(
        "wallet not found, please check that the wallet is open",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_somewhere() {
        let counted = |from, count| page(from, count).ok().map(|page| (page.from, page.count));
        assert_eq!(counted(0, 0), Some((0, MAX_ENTRIES + 1)));
        assert_eq!(counted(5, 0), Some((5, 0)), "as in bytomd none");
        assert_eq!(counted(5, 7), Some((5, 7)));
        assert_eq!(counted(0, MAX_ENTRIES), Some((0, MAX_ENTRIES)));
        assert_eq!(counted(0, MAX_ENTRIES + 1), None);
        assert!(within(vec![(); MAX_ENTRIES]).is_ok());
        assert!(within(vec![(); MAX_ENTRIES + 1]).is_err());
    }
}
