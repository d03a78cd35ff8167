//! config.

/// When to start an ended node again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Never.
    Never,
    /// On failure.
    OnFailure,
    /// Always.
    Always,
}
