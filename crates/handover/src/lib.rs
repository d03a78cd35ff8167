//! Replaces a running process without losing a connection, a byte or a lock.

#[cfg(not(unix))]
compile_error!("baton-handover passes descriptors over Unix sockets and runs on Unix only");

mod activation;
mod describe;
mod gate;
mod listen;
mod monotonic;
mod parcel;
mod sealed;
mod strays;
mod sys;

pub use activation::ActivationError;
pub use describe::{Address, DescribeError, Description, Difference, Kind, VerifyError};
pub use listen::{
    InheritError, ListenError, TcpListener, UdpSocket, UnixAddress, UnixDatagram, UnixListener,
    UnixSeqpacket, UnixSeqpacketListener,
};
pub use monotonic::Monotonic;
pub use parcel::Parcel;
pub use sealed::SealedError;
pub use strays::HeadroomError;
pub use sys::AdoptError;
