//! The `cosmovisor` executable.
fn main() {}
