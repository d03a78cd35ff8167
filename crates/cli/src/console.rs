//! Printing. A stream that nobody reads any more is borne: `baton events | head` is no error.

use std::io::{self, Write};

/// Prints to stdout as it is.
pub(crate) fn out(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Prints to stderr as it is, in one piece.
pub(crate) fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
