//! Live connections that can move to the next process.
//!
//! A connection is never taken from whoever serves it. It is asked, and gives itself at its next message boundary as a
//! [`Parcel`](crate::Parcel). New connections, connections moved in from a predecessor and connections come back after a
//! roll-back are served by the same code: the last two only begin with a few bytes already read.

mod connection;
mod registry;
mod seat;
#[cfg(test)]
mod tests;

pub use connection::{Accepted, Connection, ResumeError, Turn, UNSENT_LIMIT};
pub use registry::{Counts, Kind, Registry, WAITING_LIMIT};
pub use seat::{Asked, Asking, Seat};
