//! From settings to a service that runs: files are read, the port is taken, nothing is dialled yet.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use libp2p::futures::StreamExt;
use libp2p::swarm::{self, SwarmEvent};
use libp2p::{Multiaddr, Swarm};
use rustix::net::{AddressFamily, SocketType, sockopt};
use tokio::sync::mpsc;

use super::Service;
use super::discover::Lookup;
use super::exchange::Exchange;
use super::gossip::{Attempts, Topics};
use crate::bans::Bans;
use crate::behaviour::Behaviour;
use crate::book::Book;
use crate::command::Command;
use crate::conduct::Conduct;
use crate::files::{self, Keeper};
use crate::gate::{Gate, Room};
use crate::handle::Shared;
use crate::lanes::lanes;
use crate::names::Names;
use crate::targets::Targets;
use crate::traffic::Meters;
use crate::{Events, Limits, NetworkError, PeerAddress, Settings, identity, transport};

/// How long the system may take to open a listening socket.
const LISTEN: Duration = Duration::from_secs(10);
/// A kept peer is dialled at least this often.
const KEPT_PAUSE: Duration = Duration::from_secs(30);
/// A seed is asked again at most this often while there are too few peers.
const SEED_PAUSE: Duration = Duration::from_mins(2);
/// Connections are closed when somebody decides to, not because they were quiet.
const NEVER: Duration = Duration::from_hours(87600);

impl Service {
    pub(crate) async fn start(
        settings: Settings,
        commands: mpsc::Receiver<Command>,
    ) -> Result<(Self, Arc<Shared>, Events), NetworkError> {
        let names = Names::new(&settings)?;
        check(&settings.limits)?;
        let bans_path = settings.directory.join("bans.json");
        let book_path = settings.directory.join("peers.json");
        std::fs::create_dir_all(&settings.directory).map_err(|source| NetworkError::File {
            action: "create",
            path: settings.directory.clone(),
            source,
        })?;
        let bans =
            load(&bans_path, |text| Bans::parse(text, Timestamp::now()))?.unwrap_or_default();
        let addresses = settings.limits.addresses;
        let book = load(&book_path, |text| Book::parse(text, addresses))?
            .unwrap_or_else(|| Book::new(addresses));

        let key = identity::keypair(&settings.identity_seed);
        let me = key.public().to_peer_id();
        let meters = Meters::default();
        let transport = transport::build(&settings, &key, meters.clone())?;
        let kept = Targets::new(&settings.keep_dial, KEPT_PAUSE);
        let mut gate = Gate::new(room(&settings), bans);
        gate.reserved.extend(kept.peers());
        let behaviour = Behaviour::new(&settings, &names, &key, gate)?;
        let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(NEVER);
        let mut swarm = Swarm::new(transport, behaviour, me, config);

        let shared = Arc::new(Shared::new(me, meters));
        let (outbox, events) = lanes(settings.limits.events);
        let listen = settings.listen.filter(|_| !settings.vault);
        let first = match listen {
            Some(address) => Some(listen_on(&mut swarm, address).await?),
            None => None,
        };
        let mut service = Self {
            topics: Topics::new(&names),
            attempts: Attempts::default(),
            exchange: Exchange::new(&settings.limits),
            seeds: Targets::new(&settings.seeds, SEED_PAUSE),
            book_file: Keeper::start(book_path),
            bans_file: Keeper::start(bans_path),
            book_written: Instant::now(),
            change: Instant::now() + settings.limits.change_peers,
            lookup: Lookup::new(Instant::now()),
            peers: HashMap::new(),
            dials: HashMap::new(),
            strangers: HashMap::new(),
            conduct: Conduct::default(),
            status: None,
            looked: Instant::now(),
            stalled: None,
            shared: shared.clone(),
            settings,
            names,
            swarm,
            commands,
            outbox,
            kept,
            book,
        };
        service.announce(first);
        Ok((service, shared, events))
    }

    fn announce(&mut self, first: Option<PeerAddress>) {
        let key = identity::peer_hex(&self.shared.me);
        tracing::info!(%key, chain = %self.names.chain, "network started");
        match first {
            Some(address) => self.listening(address),
            None if self.settings.vault => tracing::info!("vault mode: no peers"),
            None => tracing::info!("no p2p.laddr: peers cannot connect, only be dialled"),
        }
    }
}

fn room(settings: &Settings) -> Room {
    Room {
        peers: settings.max_peers,
        outbound: settings.outbound_peers,
        per_ip: settings.limits.peers_per_ip,
        vault: settings.vault,
    }
}

fn check(limits: &Limits) -> Result<(), NetworkError> {
    /// Frames and messages carry their length in four bytes, and nobody wants to hold more than this of one.
    const LARGEST: usize = 1 << 30;
    let sizes = [
        (limits.vote_bytes, "vote_bytes must be from 1 to 1 GiB"),
        (
            limits.proposal_bytes,
            "proposal_bytes must be from 1 to 1 GiB",
        ),
        (
            limits.transaction_bytes,
            "transaction_bytes must be from 1 to 1 GiB",
        ),
        (
            limits.request_bytes,
            "request_bytes must be from 1 to 1 GiB",
        ),
        (
            limits.response_bytes,
            "response_bytes must be from 1 to 1 GiB",
        ),
        (limits.status_bytes, "status_bytes must be from 1 to 1 GiB"),
        (limits.events, "events must be from 1 to 2^30"),
        (limits.addresses, "addresses must be from 1 to 2^30"),
    ];
    match sizes
        .into_iter()
        .find(|(size, _)| !(1..=LARGEST).contains(size))
    {
        Some((_, text)) => Err(NetworkError::Limits(text)),
        None => Ok(()),
    }
}

/// The content of a file, if it is there and makes sense.
fn load<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, NetworkError> {
    let Some(text) = files::read(path)? else {
        return Ok(None);
    };
    match parse(&text) {
        Ok(content) => Ok(Some(content)),
        Err(why) => files::put_aside(path, &why).map(|()| None),
    }
}

/// Takes the port. The first of the addresses at which it listens is returned; others follow as events.
async fn listen_on(
    swarm: &mut Swarm<Behaviour>,
    address: SocketAddr,
) -> Result<PeerAddress, NetworkError> {
    let failed = |source| NetworkError::Listen { address, source };
    claim(address).map_err(failed)?;
    let multiaddr: Multiaddr = PeerAddress::from_socket(address).to_multiaddr();
    swarm
        .listen_on(multiaddr)
        .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    let opened = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => {
                    if let Some(address) = PeerAddress::from_multiaddr(&address) {
                        return Ok(address);
                    }
                }
                SwarmEvent::ListenerError { error, .. }
                | SwarmEvent::ListenerClosed {
                    reason: Err(error), ..
                } => {
                    return Err(error);
                }
                _ => {}
            }
        }
    };
    let late = || {
        std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            format!("no listening socket after {LISTEN:?}"),
        )
    };
    tokio::time::timeout(LISTEN, opened)
        .await
        .unwrap_or_else(|_| Err(late()))
        .map_err(failed)
}

/// Fails if another process listens at the address.
///
/// libp2p listens with `SO_REUSEPORT`, with which two nodes by mistake on one port would share its connections and neither would say so.
/// A socket without it cannot be bound while anybody listens there.
fn claim(address: SocketAddr) -> std::io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let family = if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    // connections that the kernel still remembers from the last run are no hindrance
    sockopt::set_socket_reuseaddr(&socket, true)?;
    Ok(rustix::net::bind(&socket, &address)?)
}
