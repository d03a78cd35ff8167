//! Replaces a running process without losing a connection, a byte or a lock.

#[cfg(not(unix))]
compile_error!("baton-handover passes descriptors over Unix sockets and runs on Unix only");

mod channel;
mod exclusive;
mod gate;
mod monotonic;
mod parcel;
mod protocol;
mod state;

pub use exclusive::{Borrowed, BoxError, Exclusive, ExclusiveError, Gone};
pub use monotonic::Monotonic;
pub use parcel::Parcel;
pub use state::State;
