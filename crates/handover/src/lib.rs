#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("baton-handover passes descriptors over Unix sockets and runs on Unix only");

mod activation;
mod channel;
pub mod connections;
pub mod control;
mod describe;
pub mod directory;
mod error;
mod exclusive;
pub mod foreign;
mod gate;
mod handover;
mod held;
mod hold;
#[cfg(feature = "http")]
pub mod http;
mod keeper;
mod launch;
mod life;
mod listen;
mod listener;
pub mod metrics;
mod monotonic;
mod nginx;
mod notify;
mod own;
mod parcel;
mod pidfile;
mod protocol;
mod reach;
pub mod report;
mod sealed;
mod serving;
mod settings;
mod shared;
mod state;
mod strays;
mod sys;
mod taking;
mod transfer;
mod triggers;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use activation::ActivationError;
pub use describe::{Address, DescribeError, Description, Difference, Kind, VerifyError};
pub use error::HandoverError;
pub use exclusive::{Borrowed, BoxError, Exclusive, ExclusiveError, Gone};
pub use handover::Handover;
pub use held::{Candidate, Holder, HolderError, Introducing};
pub use life::Life;
pub use listen::{
    InheritError, ListenError, TcpListener, UdpSocket, UnixAddress, UnixDatagram, UnixListener,
    UnixSeqpacket, UnixSeqpacketListener,
};
pub use listener::Listener;
pub use monotonic::Monotonic;
pub use own::OwnListeners;
pub use parcel::Parcel;
pub use reach::SocketPath;
pub use sealed::SealedError;
pub use serving::{Ending, Hold, ProgramEvent, Serving, UpgradeError};
pub use settings::Settings;
pub use state::State;
pub use strays::HeadroomError;
pub use sys::AdoptError;
