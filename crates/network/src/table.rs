//! The table of peers that others may ask: Kademlia, for its routing table and lookups only. It stores nothing for others.

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::kad::{self, BucketInserts, Mode, StoreInserts};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};

type Kademlia = kad::Behaviour<MemoryStore>;

/// Kademlia that is not told where this node listens. It has no use for it here, and would begin a lookup at each such address before
/// there is anybody to ask, and warn of it.
pub(crate) struct Table(Kademlia);

impl Table {
    /// The table of a node. Whoever cannot be dialled is in nobody's table.
    pub(crate) fn new(me: PeerId, protocol: StreamProtocol, can_be_dialled: bool) -> Self {
        let nothing = MemoryStoreConfig {
            max_records: 0,
            max_provided_keys: 0,
            max_value_bytes: 0,
            max_providers_per_key: 0,
        };
        let mut config = kad::Config::new(protocol);
        config
            .set_record_filtering(StoreInserts::FilterBoth)
            .set_replication_interval(None)
            .set_publication_interval(None)
            .set_provider_publication_interval(None)
            // only peers whose chain is known and whose addresses make sense
            .set_kbucket_inserts(BucketInserts::Manual)
            .set_periodic_bootstrap_interval(None)
            .set_query_timeout(Duration::from_secs(30))
            .set_parallelism(NonZeroUsize::new(2).expect("two is not zero"))
            .set_max_packet_size(16 << 10);
        let mut kad = Kademlia::with_config(me, MemoryStore::with_config(me, nothing), config);
        kad.set_mode(Some(if can_be_dialled {
            Mode::Server
        } else {
            Mode::Client
        }));
        Self(kad)
    }

    /// Looks up this node's own neighbourhood, so that the table is fresh and others know this node.
    pub(crate) fn refresh(&mut self) {
        // the only error is that there is nobody to ask
        let _ = self.0.bootstrap();
    }
}

impl Deref for Table {
    type Target = Kademlia;

    fn deref(&self) -> &Kademlia {
        &self.0
    }
}

impl DerefMut for Table {
    fn deref_mut(&mut self) -> &mut Kademlia {
        &mut self.0
    }
}

impl NetworkBehaviour for Table {
    type ConnectionHandler = <Kademlia as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = kad::Event;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.0.handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.0
            .handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.0
            .handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.0
            .handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if !matches!(event, FromSwarm::NewListenAddr(_)) {
            self.0.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.0.on_connection_handler_event(peer, id, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.0.poll(cx)
    }
}
