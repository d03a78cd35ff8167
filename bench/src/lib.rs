//! What the measurements are made with.

pub mod load;
pub mod node;
