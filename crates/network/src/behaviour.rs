//! The protocols that a node speaks, put together.

use std::collections::HashSet;
use std::iter;
use std::time::Duration;

use libp2p::gossipsub::{
    self, IdentTopic, IdentityTransform, MessageAuthenticity, PeerScoreParams, PeerScoreThresholds,
    TopicHash, TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{StreamProtocol, connection_limits, identify, mdns, ping, upnp};
use sha3::{Digest, Sha3_256};

use crate::codec::Frames;
use crate::gate::Gate;
use crate::names::Names;
use crate::table::Table;
use crate::{Limits, NetworkError, Settings, Topic};

/// Gossip on a fixed set of topics: a peer cannot make this node remember others.
pub(crate) type Gossip = gossipsub::Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

/// How long a connection on which nothing was measured is believed in. A ping is sent after each such time.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Sockets whose handshake is under way.
const PENDING: u32 = 64;
/// Messages of one packet.
const PER_PACKET: usize = 1024;
/// Messages that wait to be sent to one peer.
const WAITING: usize = 2048;
/// What gossip adds to a message: topic, author, number, signature.
const ENVELOPE: usize = 1 << 10;

/// The protocols. Two gossips, because they have opposite needs: votes are signed by their publisher and go on at once; transactions are
/// anonymous, known by the hash of their content, and go on when the node has judged them. Each has its own queues, so that a flood of
/// transactions does not hold up votes.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    // first, so that nothing is set up for a connection that is refused
    pub(crate) gate: Gate,
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) consensus: Gossip,
    pub(crate) transactions: Gossip,
    pub(crate) requests: request_response::Behaviour<Frames>,
    pub(crate) status: request_response::Behaviour<Frames>,
    pub(crate) welcome: request_response::Behaviour<Frames>,
    pub(crate) table: Table,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(crate) upnp: Toggle<upnp::tokio::Behaviour>,
}

/// The topics of this chain by their hash, which is their name.
pub(crate) fn topic(names: &Names, topic: Topic) -> IdentTopic {
    IdentTopic::new(names.text(topic.name()))
}

impl Behaviour {
    pub(crate) fn new(
        settings: &Settings,
        names: &Names,
        key: &Keypair,
        gate: Gate,
    ) -> Result<Self, NetworkError> {
        let me = key.public().to_peer_id();
        let limits = &settings.limits;
        let listening = settings.listen.is_some() && !settings.vault;
        let requests = frames(
            names.protocol("sync/1"),
            limits.request_bytes,
            limits.response_bytes,
            limits.request_timeout,
        );
        let status = frames(
            names.protocol("status/1"),
            limits.status_bytes,
            0,
            Duration::from_secs(10),
        );
        Ok(Self {
            limits: connection_limits::Behaviour::new(connections(settings)),
            identify: identify::Behaviour::new(
                identify::Config::new(names.chain.clone(), key.public())
                    .with_agent_version(names.agent.clone())
                    .with_cache_size(0),
            ),
            ping: ping::Behaviour::new(
                ping::Config::new()
                    .with_interval(PING_EVERY)
                    .with_timeout(PING_TIMEOUT),
            ),
            consensus: consensus_gossip(limits, names, key)?,
            transactions: transaction_gossip(limits, names)?,
            requests,
            status,
            welcome: frames(names.protocol("welcome/1"), 0, 1, Duration::from_secs(10)),
            table: Table::new(me, names.protocol("kad/1"), listening),
            mdns: Toggle::from(local_discovery(settings, me)),
            upnp: Toggle::from((settings.upnp && listening).then(upnp::tokio::Behaviour::default)),
            gate,
        })
    }

    /// The gossip that carries a topic.
    pub(crate) fn gossip(&mut self, topic: Topic) -> &mut Gossip {
        match topic {
            Topic::Consensus | Topic::Liveness | Topic::Proposals => &mut self.consensus,
            Topic::Transactions => &mut self.transactions,
        }
    }
}

fn connections(settings: &Settings) -> connection_limits::ConnectionLimits {
    let peers = u32::try_from(settings.max_peers).unwrap_or(u32::MAX);
    let kept = u32::try_from(settings.keep_dial.len()).unwrap_or(u32::MAX);
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING))
        .with_max_pending_outgoing(Some(PENDING))
        .with_max_established_per_peer(Some(1))
        .with_max_established_incoming(Some(peers.saturating_add(kept).saturating_add(PENDING)))
}

fn frames(
    protocol: StreamProtocol,
    request_bytes: usize,
    response_bytes: usize,
    timeout: Duration,
) -> request_response::Behaviour<Frames> {
    let config = request_response::Config::default()
        .with_request_timeout(timeout)
        .with_max_concurrent_streams(64);
    request_response::Behaviour::with_codec(
        Frames {
            request_bytes,
            response_bytes,
        },
        iter::once((protocol, ProtocolSupport::Full)),
        config,
    )
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
fn gossip_setup(reason: impl ToString) -> NetworkError {
    NetworkError::Setup {
        what: "gossip",
        reason: reason.to_string(),
    }
}

fn whitelist(names: &Names, topics: &[Topic]) -> WhitelistSubscriptionFilter {
    WhitelistSubscriptionFilter(
        topics
            .iter()
            .map(|one| topic(names, *one).hash())
            .collect::<HashSet<TopicHash>>(),
    )
}

fn subscribe(mut gossip: Gossip, names: &Names, topics: &[Topic]) -> Result<Gossip, NetworkError> {
    for one in topics {
        gossip
            .subscribe(&topic(names, *one))
            .map_err(gossip_setup)?;
    }
    Ok(gossip)
}

/// Signed and strictly verified: consensus needs to know who published a part of a proposal, and a vote that is repeated on purpose is a
/// new message.
fn consensus_gossip(limits: &Limits, names: &Names, key: &Keypair) -> Result<Gossip, NetworkError> {
    let topics = [Topic::Consensus, Topic::Liveness, Topic::Proposals];
    let largest = limits.vote_bytes.max(limits.proposal_bytes);
    let mut config = gossipsub::ConfigBuilder::default();
    config
        .protocol_id_prefix(names.text("consensus"))
        .validation_mode(ValidationMode::Strict)
        .max_transmit_size(largest + ENVELOPE)
        .heartbeat_initial_delay(Duration::from_secs(1))
        .flood_publish(true)
        .max_messages_per_rpc(Some(PER_PACKET))
        .connection_handler_queue_len(WAITING);
    for one in topics {
        config.max_transmit_size_for_topic(
            limits.gossip_bytes(one) + ENVELOPE,
            topic(names, one).hash(),
        );
    }
    let config = config.build().map_err(gossip_setup)?;
    let gossip = Gossip::new_with_subscription_filter(
        MessageAuthenticity::Signed(key.clone()),
        config,
        whitelist(names, &topics),
    )
    .map_err(gossip_setup)?;
    let mut gossip = subscribe(gossip, names, &topics)?;
    let (params, thresholds) = count_invalid(names, &topics);
    gossip
        .with_peer_score(params, thresholds)
        .map_err(gossip_setup)?;
    Ok(gossip)
}

/// Lets gossip count the messages of each peer whose signature is wrong or whose size is beyond the topic's limit, which it tells nobody
/// otherwise. A peer's score is minus the square of that number, which fades within a minute. Gossip itself draws no conclusion: the node
/// does, in `conduct`.
fn count_invalid(names: &Names, topics: &[Topic]) -> (PeerScoreParams, PeerScoreThresholds) {
    let counted = TopicScoreParams {
        topic_weight: 1.0,
        invalid_message_deliveries_weight: -1.0,
        invalid_message_deliveries_decay: 0.9,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        ..TopicScoreParams::default()
    };
    let params = PeerScoreParams {
        topics: topics
            .iter()
            .map(|one| (topic(names, *one).hash(), counted.clone()))
            .collect(),
        app_specific_weight: 0.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: 0.0,
        slow_peer_weight: 0.0,
        ..PeerScoreParams::default()
    };
    let never = f64::from(i32::MIN);
    let thresholds = PeerScoreThresholds {
        gossip_threshold: never,
        publish_threshold: never,
        graylist_threshold: never,
        accept_px_threshold: 0.0,
        opportunistic_graft_threshold: 0.0,
    };
    (params, thresholds)
}

/// Anonymous, as it is nobody's business whose transaction it is; named by content, so that the same transaction from many sides is one.
fn transaction_gossip(limits: &Limits, names: &Names) -> Result<Gossip, NetworkError> {
    let topics = [Topic::Transactions];
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id_prefix(names.text("transactions"))
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(|message| gossipsub::MessageId::new(&Sha3_256::digest(&message.data)))
        .validate_messages()
        // a message that is judged later than so many seconds is not passed on
        .history_length(8)
        // at ten thousand a second each costs memory for as long as it is remembered; the node's pool remembers longer
        .duplicate_cache_time(Duration::from_secs(30))
        .max_transmit_size(limits.transaction_bytes + ENVELOPE)
        .heartbeat_initial_delay(Duration::from_secs(1))
        .flood_publish(false)
        .max_messages_per_rpc(Some(PER_PACKET))
        .connection_handler_queue_len(WAITING)
        .build()
        .map_err(gossip_setup)?;
    let gossip = Gossip::new_with_subscription_filter(
        MessageAuthenticity::Anonymous,
        config,
        whitelist(names, &topics),
    )
    .map_err(gossip_setup)?;
    subscribe(gossip, names, &topics)
}

fn local_discovery(settings: &Settings, me: libp2p::PeerId) -> Option<mdns::tokio::Behaviour> {
    if !settings.lan_discoverable || settings.vault {
        return None;
    }
    match mdns::tokio::Behaviour::new(mdns::Config::default(), me) {
        Ok(mdns) => Some(mdns),
        Err(error) => {
            tracing::warn!(%error, "cannot look for peers on the local network; going on without (p2p.lan_discoverable)");
            None
        }
    }
}
