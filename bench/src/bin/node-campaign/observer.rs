//! A peer that only listens, and is never killed.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use baton_network::{Event, Network, PeerAddress, Settings, Topic};
use prost::Message;
use zeroize::Zeroizing;

use super::signatures::{Key, Place, Signatures, Signed, Source};

// What validators say, as it is on the wire, read without the consensus crate's own codec.

#[derive(Clone, PartialEq, Message)]
struct Said {
    #[prost(message, optional, tag = "2")]
    vote: Option<Vote>,
    /// On the topic of consensus; on that of liveness this is something else.
    #[prost(bytes = "vec", optional, tag = "3")]
    proposal: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Vote {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint64, tag = "2")]
    height: u64,
    #[prost(uint32, tag = "3")]
    round: u32,
    #[prost(bytes = "vec", optional, tag = "4")]
    block: Option<Vec<u8>>,
    #[prost(bytes = "vec", tag = "5")]
    validator: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Proposal {
    #[prost(uint64, tag = "1")]
    height: u64,
    #[prost(uint32, tag = "2")]
    round: u32,
    #[prost(bytes = "vec", tag = "3")]
    block: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    proposer: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    signature: Vec<u8>,
}

/// Signatures that several parts of a campaign collect.
pub(crate) type Shared = Arc<Mutex<Signatures>>;

/// It listens until it is dropped.
pub(crate) struct Observer {
    _network: Network,
}

impl Observer {
    /// Connects to a node, again and again; what the others say it passes on.
    pub(crate) async fn start(
        directory: &Path,
        genesis: &baton_ledger::Genesis,
        peer: PeerAddress,
        signatures: Shared,
    ) -> Result<Self> {
        let chain = genesis.block().hash().to_string();
        let id = genesis.params().chain_id.clone();
        let mut settings = Settings::new(chain, id, Zeroizing::new([77; 32]), directory);
        settings.keep_dial = vec![peer];
        settings.outbound_peers = 0;
        settings.listen = None;
        settings.lan_discoverable = false;
        settings.upnp = false;
        let (network, mut events) = Network::start(settings).await?;
        tokio::spawn(async move {
            while let Some(event) = events.consensus.next().await {
                if let Event::Message(message) = event
                    && matches!(message.topic, Topic::Consensus | Topic::Liveness)
                {
                    let mut signatures = signatures.lock().unwrap_or_else(PoisonError::into_inner);
                    let consensus = message.topic == Topic::Consensus;
                    let _unreadable = hear(&mut signatures, &message.bytes, consensus);
                }
            }
        });
        Ok(Self { _network: network })
    }
}

/// Notes a signature; `None` if the bytes are something else.
fn hear(signatures: &mut Signatures, bytes: &[u8], consensus: bool) -> Option<()> {
    let said = Said::decode(bytes).ok()?;
    if let Some(vote) = said.vote {
        let place = Place {
            key: Key::try_from(vote.validator).ok()?,
            height: vote.height,
            round: vote.round,
            step: u8::try_from(vote.kind).ok()?,
        };
        let block = vote.block.map(<[u8; 32]>::try_from).transpose().ok()?;
        let signature = vote.signature;
        signatures.add(place, &Signed { block, signature }, Source::Heard);
    } else if consensus {
        let proposal = Proposal::decode(said.proposal?.as_slice()).ok()?;
        let place = Place {
            key: Key::try_from(proposal.proposer).ok()?,
            height: proposal.height,
            round: proposal.round,
            step: 0,
        };
        let block = Some(proposal.block.try_into().ok()?);
        let signature = proposal.signature;
        signatures.add(place, &Signed { block, signature }, Source::Heard);
    }
    Some(())
}
