//! What a client is told, in bytomd's JSON.

use baton_chain::Pooled;
use baton_handover::websocket::Message;
use baton_ledger::{Hash, Mapped};
use serde::Serialize;

use crate::go_json;

#[derive(Serialize)]
struct Notification<'n, T> {
    #[serde(rename = "notification_type")]
    kind: &'static str,
    data: T,
    #[serde(skip_serializing_if = "str::is_empty")]
    error_detail: &'n str,
}

fn message<T: Serialize>(kind: &'static str, data: T, error_detail: &str) -> Message {
    let text = go_json::to_vec(&Notification {
        kind,
        data,
        error_detail,
    });
    Message::text(String::from_utf8(text).expect("JSON is text"))
}

/// A wish was heard, or could not be.
pub(super) fn status(result: Result<(), String>) -> Message {
    let told = result.err().unwrap_or_default();
    message("request_status", None::<()>, &told)
}

/// A block was committed. There is no `raw_blocks_disconnected`: blocks are final.
pub(super) fn block(bytes: &[u8]) -> Message {
    message("raw_blocks_connected", hex::encode(bytes), "")
}

/// A transaction came into the pool.
pub(super) fn transaction(pooled: &Pooled) -> Message {
    #[derive(Serialize)]
    struct Data {
        transaction: String,
    }
    let transaction = hex::encode(&pooled.bytes);
    message("new_transaction", Data { transaction }, "")
}

/// A feed matches a transaction, in the pool or in a block.
pub(super) fn feed(alias: &str, transaction: &Mapped, block: Option<(u64, Hash)>) -> Message {
    #[derive(Serialize)]
    struct Data<'d> {
        alias: &'d str,
        tx_id: String,
        transaction: String,
        confirmed: bool,
        block_height: u64,
        block_hash: String,
    }
    let (block_height, block_hash) = block.unwrap_or((0, Hash::ZERO));
    message(
        "transaction_feed",
        Data {
            alias,
            tx_id: transaction.id().to_string(),
            transaction: transaction.transaction().to_hex(),
            confirmed: block.is_some(),
            block_height,
            block_hash: block_hash.to_string(),
        },
        "",
    )
}

/// A feed that the client follows is no more.
pub(super) fn feed_ended(alias: &str) -> Message {
    #[derive(Serialize)]
    struct Data<'d> {
        alias: &'d str,
    }
    message(
        "transaction_feed_ended",
        Data { alias },
        "the feed was deleted",
    )
}

/// The client was too slow: so many transactions that came into the pool it was not told of.
pub(super) fn dropped(count: u64) -> Message {
    #[derive(Serialize)]
    struct Data {
        dropped: u64,
    }
    message(
        "notifications_dropped",
        Data { dropped: count },
        "more transactions came into the pool than this client could be told of: see list-unconfirmed-transactions",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_bytoms() {
        assert_eq!(
            status(Ok(())),
            Message::text(r#"{"notification_type":"request_status","data":null}"#)
        );
        assert_eq!(
            status(Err("no".to_owned())),
            Message::text(
                r#"{"notification_type":"request_status","data":null,"error_detail":"no"}"#
            )
        );
        assert_eq!(
            block(&[1, 255]),
            Message::text(r#"{"notification_type":"raw_blocks_connected","data":"01ff"}"#)
        );
    }
}
