//! The `mocknode` executable.
fn main() {}
