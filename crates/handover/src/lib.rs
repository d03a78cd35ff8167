//! Replaces a running process without losing a connection, a byte or a lock.

#[cfg(not(unix))]
compile_error!("baton-handover passes descriptors over Unix sockets and runs on Unix only");

mod channel;
pub mod control;
pub mod directory;
mod gate;
pub mod metrics;
mod monotonic;
mod nginx;
mod notify;
mod parcel;
mod pidfile;
mod protocol;
pub mod report;
mod triggers;

pub use monotonic::Monotonic;
pub use parcel::Parcel;
