//! A namespace: one isolated chain within a node.

mod name;

pub use name::{MAX_NAME, Name, NameError};
