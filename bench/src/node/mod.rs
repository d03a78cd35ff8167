//! A `batond` under test: its home, a client that keeps its connection, and a purse to pay from.

mod client;
mod daemon;
mod fan;
mod purse;

pub use client::{Client, ClientError};
pub use daemon::{Daemon, Home, HomeOptions};
pub use fan::{FAN, fan_out};
pub use purse::{Coin, FEE_NEU, Purse};
