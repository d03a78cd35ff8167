//! The height in a status document, whoever printed it.
//!
//! `CometBFT`'s RPC wraps it in `result`; the command `status` prints `sync_info`, and up to SDK
//! 0.47 `SyncInfo`. Heights are strings, but a number is accepted as well.

use serde_json::{Deserializer, Value};

/// The height in a status document.
pub(super) fn height(status: &Value) -> Option<u64> {
    let status = status.get("result").unwrap_or(status);
    let sync = status.get("sync_info").or_else(|| status.get("SyncInfo"))?;
    match sync.get("latest_block_height")? {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

/// The height in the output of a command, which may have other lines around the document.
pub(super) fn height_in_output(output: &str) -> Option<u64> {
    let starts = output.match_indices('{').map(|(at, _)| at);
    let at_line_start = starts.filter(|&at| {
        output[..at].trim_end_matches([' ', '\t']).ends_with('\n') || output[..at].trim().is_empty()
    });
    at_line_start
        .filter_map(|at| {
            Deserializer::from_str(&output[at..])
                .into_iter::<Value>()
                .next()?
                .ok()
        })
        .find_map(|document| height(&document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shapes_tell_the_height() {
        for text in [
            r#"{"jsonrpc":"2.0","id":-1,"result":{"sync_info":{"latest_block_height":"49"}}}"#,
            r#"{"sync_info":{"latest_block_height":"49"}}"#,
            r#"{"sync_info":{"latest_block_height":49}}"#,
            r#"{"NodeInfo":{},"SyncInfo":{"latest_block_height":"49","catching_up":false}}"#,
        ] {
            assert_eq!(
                height(&serde_json::from_str(text).unwrap()),
                Some(49),
                "{text}"
            );
            assert_eq!(height_in_output(&format!("{text}\n")), Some(49), "{text}");
            let noisy = format!("WARNING: {{x}}\n{{\"level\":\"info\"}}\n\n {text}\nbye\n");
            assert_eq!(height_in_output(&noisy), Some(49), "{noisy}");
        }
    }

    #[test]
    fn anything_else_does_not() {
        for text in [
            "{}",
            "[]",
            "null",
            r#"{"result":{"sync_info":{}}}"#,
            r#"{"sync_info":{"latest_block_height":"x"}}"#,
            r#"{"sync_info":{"latest_block_height":-1}}"#,
            r#"{"error":{"code":-32603}}"#,
        ] {
            assert_eq!(height(&serde_json::from_str(text).unwrap()), None, "{text}");
        }
        for text in [
            "",
            "{",
            "no node",
            "x {\"sync_info\":{\"latest_block_height\":\"1\"}}",
        ] {
            assert_eq!(height_in_output(text), None, "{text}");
        }
    }
}
