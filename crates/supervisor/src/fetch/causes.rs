//! An error told with all that led to it: libraries wrap what happened, operators need what happened.

use std::error::Error;

/// An error and its causes, each once.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn each_cause_is_told_once() {
        let layer = |text, source: Option<Layer>| Layer {
            text,
            source: source.map(Box::new),
        };
        let cause = layer("disk on fire", None);
        let middle = layer("cannot write: disk on fire", Some(cause));
        let outer = layer("cannot save", Some(middle));
        assert_eq!(causes(&outer), "cannot save: cannot write: disk on fire");
    }
}
