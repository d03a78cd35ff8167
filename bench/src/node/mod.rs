//! A `batond` under test: its home, a client that keeps its connection, and a purse to pay from.

mod client;
mod daemon;
mod purse;

pub use client::{Client, ClientError};
pub use daemon::{Daemon, Home, HomeOptions};
pub use purse::{Coin, FEE_NEU, Purse};
