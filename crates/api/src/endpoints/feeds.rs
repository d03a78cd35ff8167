//! Transaction feeds, as bytomd v1 has them; their matches come over the WebSocket.

use serde::Serialize;

use crate::{
    feeds::Feed,
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Ignored, request},
    table::{Endpoint, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::always("create-transaction-feed", Lane::Write, create)
            .doc("Makes a feed: transactions that match a filter.")
            .example(FEED),
        Endpoint::always("get-transaction-feed", Lane::Here, get)
            .doc("A feed.")
            .example(r#"{"alias":"large"}"#),
        Endpoint::always("update-transaction-feed", Lane::Write, update)
            .doc("Gives a feed another filter.")
            .example(FEED),
        Endpoint::always("delete-transaction-feed", Lane::Write, delete)
            .doc("Deletes a feed.")
            .example(r#"{"alias":"large"}"#),
        Endpoint::always("list-transaction-feeds", Lane::Here, list).doc("The feeds."),
    ]
}

const FEED: &str = r#"{"alias":"large","filter":"asset_id='ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff' AND amount_lower_limit = 50 AND amount_upper_limit = 100"}"#;

request! {
    /// A feed.
    Given {
        alias: String => "its name",
        filter: String => "what a transaction must have: conditions on asset_id, amount_lower_limit, amount_upper_limit and trans_type with AND between them",
    }
}

request! {
    /// Which feed.
    Named {
        alias: String => "the feed's name",
    }
}

#[derive(Serialize)]
struct Found {
    txfeed: Feed,
}

fn create(namespace: &Namespace, request: Given) -> Answer {
    namespace
        .parts
        .feeds
        .create(&request.alias, &request.filter)?;
    Ok(Reply::none())
}

fn get(namespace: &Namespace, request: Named) -> Answer {
    Ok(Reply::of(&Found {
        txfeed: namespace.parts.feeds.get(&request.alias)?,
    }))
}

fn update(namespace: &Namespace, request: Given) -> Answer {
    namespace
        .parts
        .feeds
        .update(&request.alias, &request.filter)?;
    Ok(Reply::none())
}

fn delete(namespace: &Namespace, request: Named) -> Answer {
    namespace.parts.feeds.delete(&request.alias)?;
    Ok(Reply::none())
}

fn list(namespace: &Namespace, _: Ignored) -> Answer {
    Ok(Reply::of(&namespace.parts.feeds.list()?))
}
