//! Replaces a running process without losing a connection, a byte or a lock.

#[cfg(not(unix))]
compile_error!("baton-handover passes descriptors over Unix sockets and runs on Unix only");

pub mod connections;
mod gate;
#[cfg(feature = "http")]
pub mod http;
mod monotonic;
mod parcel;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use monotonic::Monotonic;
pub use parcel::Parcel;
