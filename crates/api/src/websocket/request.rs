//! What a client says.

use baton_handover::websocket::Message;
use serde_json::Value;

use crate::{
    feeds::MAX_TEXT_LEN,
    request::{Request, parse_whole, request},
};

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// Blocks as they are committed, from a height on if one is given.
    Blocks {
        from_height: Option<u64>,
    },
    NoBlocks,
    /// Transactions as they come into the pool.
    Transactions,
    NoTransactions,
    /// Transactions that a feed matches; with a height, those in blocks from there on too.
    Feed {
        alias: String,
        from_height: Option<u64>,
    },
    NoFeed {
        alias: String,
    },
}

request! {
    /// A message of a client.
    WsRequest("WSRequest") {
        topic: String => "what to be told of",
        alias: String => "which feed",
        from_height: Value => "from which block on",
    }
}

impl Wish {
    /// Reads a message; the error is what bytomd says.
    pub(super) fn read(message: &Message) -> Result<Self, String> {
        let bytes = match message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            _ => &[],
        };
        let malformed = |error: String| format!("Websocket request parsing error: {error}");
        let value = parse_whole(bytes).map_err(malformed)?;
        let request = WsRequest::from_value(value, "websocket.").map_err(malformed)?;
        let from_height = match &request.from_height {
            Value::Null => None,
            height => Some(height.as_u64().ok_or_else(|| {
                malformed(format!(
                    "from_height cannot be {height}: a height is wanted"
                ))
            })?),
        };
        let alias = request.alias;
        if alias.len() > MAX_TEXT_LEN {
            return Err(malformed(format!(
                "an alias has at most {MAX_TEXT_LEN} bytes"
            )));
        }
        Ok(match request.topic.as_str() {
            "notify_raw_blocks" => Self::Blocks { from_height },
            "stop_notify_raw_blocks" => Self::NoBlocks,
            "notify_new_transactions" => Self::Transactions,
            "stop_notify_new_transactions" => Self::NoTransactions,
            "notify_transaction_feed" => Self::Feed { alias, from_height },
            "stop_notify_transaction_feed" => Self::NoFeed { alias },
            topic => {
                return Err(format!(
                    "Websocket Internal error: There is not this topic: {topic}"
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Wish, String> {
        Wish::read(&Message::text(text))
    }

    #[test]
    fn wishes_are_read() {
        assert_eq!(
            read(r#"{"topic":"notify_raw_blocks"}"#),
            Ok(Wish::Blocks { from_height: None })
        );
        assert_eq!(
            read(r#"{"TOPIC":"notify_raw_blocks","from_height":7}"#),
            Ok(Wish::Blocks {
                from_height: Some(7)
            })
        );
        assert_eq!(
            read(r#"{"topic":"notify_transaction_feed","alias":"f"}"#),
            Ok(Wish::Feed {
                alias: "f".to_owned(),
                from_height: None
            })
        );
    }

    /// The texts are those of a bytomd v2.0.6.
    #[test]
    fn what_is_wrong_is_told_in_bytoms_words() {
        for (text, told) in [
            (
                r#"{"topic":"nope"}"#,
                "Websocket Internal error: There is not this topic: nope",
            ),
            (
                "{x",
                "Websocket request parsing error: invalid character 'x' looking for beginning of object key string",
            ),
            (
                r#"{"topic":5}"#,
                "Websocket request parsing error: json: cannot unmarshal number into Go struct field WSRequest.topic of type string",
            ),
            (
                "[]",
                "Websocket request parsing error: json: cannot unmarshal array into Go value of type websocket.WSRequest",
            ),
            (
                "",
                "Websocket request parsing error: unexpected end of JSON input",
            ),
            (
                r#"{"topic":"notify_raw_blocks"} x"#,
                "Websocket request parsing error: invalid character 'x' after top-level value",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), told);
        }
        assert!(read(r#"{"topic":"notify_raw_blocks","from_height":-1}"#).is_err());
    }
}
