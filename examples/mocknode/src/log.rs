//! What the node says on its standard output, in the form of a Cosmos node's log.

use std::fmt::{Display, Write as _};
use std::io::Write as _;

/// Writes one line. A closed output must not stop a node.
fn line(level: &str, message: &str, fields: &[(&str, &dyn Display)]) {
    let now = jiff::Timestamp::now();
    let mut text = format!("{now:.3} {level} {message}");
    for (key, value) in fields {
        let value = value.to_string();
        if value.is_empty() || value.contains(|c: char| c.is_whitespace() || c == '"') {
            let _ = write!(text, " {key}={value:?}");
        } else {
            let _ = write!(text, " {key}={value}");
        }
    }
    text.push('\n');
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

pub(crate) fn info(message: &str, fields: &[(&str, &dyn Display)]) {
    line("INF", message, fields);
}

pub(crate) fn error(message: &str, fields: &[(&str, &dyn Display)]) {
    line("ERR", message, fields);
}

/// Writes plain text to the standard output, ignoring that it may be closed.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes plain text to the standard error, ignoring that it may be closed.
pub(crate) fn say_on_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
