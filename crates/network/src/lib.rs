#![doc = include_str!("../README.md")]

mod address;
mod advertised;
mod bans;
mod behaviour;
mod book;
mod codec;
mod command;
mod conduct;
mod counters;
mod error;
mod event;
mod files;
mod gate;
mod handle;
pub mod identity;
mod lanes;
mod names;
mod pace;
mod peer;
mod service;
mod settings;
mod table;
mod targets;
mod traffic;
mod transport;

pub use address::{AddressError, Host, PeerAddress};
pub use bans::{Ban, Banned};
pub use conduct::Penalty;
pub use counters::Counters;
pub use error::{DialError, NetworkError, PublishError, UnknownPeer};
pub use event::{Event, InboundId, Message, MessageId, RequestFailure, RequestId, Topic, Verdict};
pub use handle::Network;
pub use lanes::{Events, Lane};
pub use libp2p::PeerId;
pub use peer::{Direction, PeerInfo, Traffic};
pub use settings::{Limits, Proxy, Settings};
