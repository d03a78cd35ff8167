//! An answer that is a success.

use bytes::Bytes;
use serde::Serialize;

use crate::{fault::Fault, go_json};

/// What a handler gives.
pub(crate) type Answer = Result<Reply, Fault>;

/// A whole body, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply(pub(crate) Bytes);

const BEFORE: &[u8] = br#"{"status":"success","data":"#;
const AFTER: &[u8] = b"}\n";

impl Reply {
    /// `data` is this.
    pub(crate) fn of<T: Serialize + ?Sized>(data: &T) -> Self {
        let mut body = Vec::with_capacity(512);
        body.extend_from_slice(BEFORE);
        go_json::write(&mut body, data);
        body.extend_from_slice(AFTER);
        Self(body.into())
    }

    /// There is no `data`.
    pub(crate) const fn none() -> Self {
        Self(Bytes::from_static(b"{\"status\":\"success\"}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_has_data_or_none() {
        assert_eq!(Reply::none().0, "{\"status\":\"success\"}\n");
        assert_eq!(Reply::of("").0, "{\"status\":\"success\",\"data\":\"\"}\n");
        assert_eq!(
            Reply::of(&serde_json::json!({"a": 1})).0,
            "{\"status\":\"success\",\"data\":{\"a\":1}}\n"
        );
    }
}
