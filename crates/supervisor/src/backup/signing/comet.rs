//! `CometBFT`'s memory: the last position, as JSON.

use serde_json::Value;

use super::{Position, StateFile};

/// Where it lies below the data directory, by default.
pub(super) const FILE: &str = "priv_validator_state.json";

/// Real ones have under 1 KiB.
pub(super) const MAX_BYTES: u64 = 64 << 10;

/// `CometBFT` writes the height as a string and the others as numbers; either is read.
pub(super) fn parse(bytes: &[u8]) -> StateFile {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(e) => return StateFile::Unreadable(e.to_string()),
    };
    let number = |key: &str| match &value[key] {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    match (number("height"), number("round"), number("step")) {
        (Some(height), Some(round), Some(step)) => StateFile::At(Position {
            height,
            round,
            step,
        }),
        _ => StateFile::Unreadable("no height, round and step".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_is_read() {
        let text =
            "{\n  \"height\": \"123\",\n  \"round\": 1,\n  \"step\": 3,\n  \"signature\": \"x\"\n}";
        let at = Position {
            height: 123,
            round: 1,
            step: 3,
        };
        assert_eq!(parse(text.as_bytes()), StateFile::At(at));
        for bad in [
            "",
            "{",
            "{}",
            "{\"height\":\"-1\",\"round\":0,\"step\":0}",
            "[]",
        ] {
            let state = parse(bad.as_bytes());
            assert!(matches!(state, StateFile::Unreadable(_)), "{bad}: {state}");
        }
    }
}
