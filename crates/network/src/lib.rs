//! Peers over libp2p: gossip by topic, requests, discovery, limits and bans. Knows nothing of chains.
#![cfg_attr(
    not(test),
    expect(dead_code, reason = "the service that uses these parts follows")
)]

mod address;
mod bans;
mod conduct;
mod counters;
mod error;
mod event;
mod handle;
pub mod identity;
mod peer;
mod settings;

pub use address::{AddressError, Host, PeerAddress};
pub use bans::{Ban, Banned};
pub use conduct::Penalty;
pub use counters::Counters;
pub use error::{DialError, NetworkError, PublishError, UnknownPeer};
pub use event::{Event, InboundId, Message, MessageId, RequestFailure, RequestId, Topic, Verdict};
pub use handle::{Events, Lane, Network};
pub use libp2p::PeerId;
pub use peer::{Direction, PeerInfo, Traffic};
pub use settings::{Limits, Proxy, Settings};
