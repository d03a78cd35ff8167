//! The service: one task that owns the swarm, hears its events and the handle's commands, and keeps order among peers.

mod charge;
mod connect;
mod dial;
mod discover;
mod exchange;
mod gossip;
mod peers;
mod start;
mod status;
mod welcome;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::futures::StreamExt;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{PeerId, Swarm, upnp};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use self::dial::Dial;
use self::discover::Lookup;
use self::exchange::Exchange;
use self::gossip::{Attempts, Topics};
use self::peers::Peers;
use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::book::Book;
use crate::command::{Command, Reply};
use crate::conduct::Conduct;
use crate::files::Keeper;
use crate::handle::Shared;
use crate::lanes::Outbox;
use crate::names::Names;
use crate::targets::Targets;
use crate::{Event, PeerAddress, Settings, Topic};

/// How often time is looked at: deadlines, dials that are due, rates.
const TICK: Duration = Duration::from_millis(250);
/// How often gossip is asked who sent invalid messages.
const LOOK: Duration = Duration::from_secs(1);
/// Events that wait longer than this are worth a warning.
const STALLED: Duration = Duration::from_secs(5);
/// How long connections may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// The service.
pub(crate) struct Service {
    settings: Settings,
    names: Names,
    topics: Topics,
    attempts: Attempts,
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    outbox: Outbox,
    shared: Arc<Shared>,
    peers: Peers,
    exchange: Exchange,
    /// What peers are told of this node.
    status: Option<Bytes>,
    dials: HashMap<ConnectionId, Dial>,
    kept: Targets,
    seeds: Targets,
    book: Book,
    /// Peers of other chains, until when they are not dialled, so that they are not met over and over.
    strangers: HashMap<PeerId, Instant>,
    conduct: Conduct,
    lookup: Lookup,
    /// When one more known peer is tried, although there are enough.
    change: Instant,
    book_file: Keeper,
    bans_file: Keeper,
    book_written: Instant,
    /// When gossip was last asked for invalid messages.
    looked: Instant,
    /// Since when events wait, and whether it was said.
    stalled: Option<(Instant, bool)>,
}

impl Service {
    /// Runs until it is told to stop or nobody can tell it anything any more.
    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopped = loop {
            let full = self.outbox.is_full();
            tokio::select! {
                command = self.commands.recv() => match command {
                    None => break None,
                    Some(Command::Shutdown(reply)) => break Some(reply),
                    Some(command) => self.command(command),
                },
                () = self.outbox.flush() => {}
                // nothing is read from peers while events wait: that is what slows them down
                event = self.swarm.select_next_some(), if !full => self.event(event),
                _ = tick.tick() => self.tick(),
            }
        };
        Box::pin(self.close(stopped)).await;
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Publish(topic, bytes, reply) => answer(reply, self.publish(topic, bytes)),
            Command::Status(bytes) => self.tell_status(bytes),
            Command::Request(id, peer, bytes) => self.request(id, peer, bytes),
            Command::Cancel(id) => self.exchange.cancel(id),
            Command::Respond(id, bytes) => self.respond(id, bytes),
            Command::DropRequest(id) => self.drop_request(id),
            Command::Verdict(id, from, verdict) => self.verdict(&id, from, verdict),
            Command::Peers(reply) => answer(reply, self.list()),
            Command::Dial(address, reply) => self.dial_asked(address, reply),
            Command::Disconnect(peer, reply) => answer(reply, self.disconnect(peer)),
            Command::Keep(address) => self.keep(address),
            Command::Release(address, reply) => answer(reply, self.release(&address)),
            Command::Ban(who, reason, duration) => self.ban(who, reason, duration),
            Command::Unban(who, reply) => answer(reply, self.unban(who)),
            Command::Bans(reply) => answer(reply, self.bans()),
            Command::Penalise(peer, penalty, reason) => self.charge(peer, penalty, &reason),
            Command::Shutdown(_) => unreachable!("the loop ends on it"),
        }
    }

    fn event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.behaviour(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                self.established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, cause, .. } => {
                self.closed(peer_id, cause.as_ref());
            }
            SwarmEvent::IncomingConnectionError {
                send_back_addr,
                error,
                ..
            } => self.inbound_refused(&send_back_addr, &error),
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                peer_id,
                error,
            } => self.dial_failed(connection_id, peer_id, error),
            SwarmEvent::NewListenAddr { address, .. } => {
                if let Some(address) = PeerAddress::from_multiaddr(&address) {
                    self.listening(address);
                }
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                let gone = PeerAddress::from_multiaddr(&address);
                self.shared
                    .listening
                    .write()
                    .expect("nothing panics while it holds the lock")
                    .retain(|one| Some(one) != gone.as_ref());
            }
            SwarmEvent::ListenerClosed {
                reason: Err(error), ..
            } => {
                tracing::error!(%error, "no peer can connect any more: the listener is closed; restart the node");
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "cannot accept a connection");
            }
            other => tracing::trace!(event = ?other, "swarm"),
        }
    }

    fn behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(event) => self.identified(event),
            BehaviourEvent::Ping(event) => self.pinged(event),
            BehaviourEvent::Consensus(event) => self.gossiped(event, Topic::Consensus),
            BehaviourEvent::Transactions(event) => self.gossiped(event, Topic::Transactions),
            BehaviourEvent::Requests(event) => self.exchanged(event),
            BehaviourEvent::Status(event) => self.status_exchanged(event),
            BehaviourEvent::Welcome(event) => self.welcomed(event),
            BehaviourEvent::Table(event) => self.looked_up(event),
            BehaviourEvent::Mdns(event) => self.found_near(event),
            BehaviourEvent::Upnp(event) => port_mapped(&event),
            // they say nothing
            BehaviourEvent::Gate(never) | BehaviourEvent::Limits(never) => match never {},
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.check_stall(now);
        self.check_handshakes(now);
        self.see_off(now);
        self.let_go(now);
        self.expire(now);
        if now.saturating_duration_since(self.looked) >= LOOK {
            self.looked = now;
            self.charge_invalid();
        }
        for peer in self.peers.values_mut() {
            peer.sample(now);
        }
        if let Some(content) = self.changed_book(now) {
            self.book_file.set(content);
        }
        self.plan(now);
    }

    /// Sends an event. `false` if it is a transaction for which there was no room.
    fn emit(&mut self, event: Event) -> bool {
        let sent = self.outbox.send(event);
        if self.outbox.is_full() && self.stalled.is_none() {
            self.stalled = Some((Instant::now(), false));
            self.shared.counts.stalls.more();
        }
        sent
    }

    fn check_stall(&mut self, now: Instant) {
        let Some((since, said)) = self.stalled else {
            return;
        };
        let lasted = now.saturating_duration_since(since);
        if !self.outbox.is_full() {
            self.stalled = None;
            if said {
                tracing::warn!(
                    lasted_ms = lasted.as_millis(),
                    "events of the network are taken again"
                );
            }
        } else if !said && lasted > STALLED {
            self.stalled = Some((since, true));
            tracing::warn!(
                "events of the network are not taken: nothing is read from peers until they are"
            );
        }
    }

    fn changed_book(&mut self, now: Instant) -> Option<Vec<u8>> {
        const EVERY: Duration = Duration::from_secs(10);
        if now.saturating_duration_since(self.book_written) < EVERY {
            return None;
        }
        self.book_written = now;
        self.book.changes()
    }

    fn listening(&mut self, address: PeerAddress) {
        tracing::info!(%address, "listening for peers");
        self.shared
            .listening
            .write()
            .expect("nothing panics while it holds the lock")
            .push(address.clone());
        self.emit(Event::Listening(address));
    }

    async fn close(mut self, stopped: Option<Reply<()>>) {
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            // it may have gone by itself
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let swarm = &mut self.swarm;
        let goodbyes = async {
            while swarm.connected_peers().next().is_some() {
                swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(GOODBYE, goodbyes).await.is_err() {
            tracing::debug!("some peers did not take leave in time");
        }
        // the listening socket is closed here, and what remains of connections
        drop(self.swarm);
        self.shared
            .listening
            .write()
            .expect("nothing panics while it holds the lock")
            .clear();
        self.shared.counts.peers.set(0);
        if let Some(content) = self.book.changes() {
            self.book_file.set(content);
        }
        self.book_file.finish().await;
        self.bans_file.finish().await;
        tracing::info!("network closed");
        if let Some(reply) = stopped {
            answer(reply, ());
        }
    }
}

/// Whoever asked may have gone.
fn answer<T>(reply: Reply<T>, value: T) {
    let _ = reply.send(value);
}

fn port_mapped(event: &upnp::Event) {
    match event {
        upnp::Event::NewExternalAddr(address) => {
            tracing::info!(%address, "the router forwards a port to this node");
        }
        upnp::Event::ExpiredExternalAddr(address) => {
            tracing::info!(%address, "the router forwards the port no longer");
        }
        upnp::Event::GatewayNotFound => {
            tracing::debug!("no router that forwards ports (p2p.skip_upnp)");
        }
        upnp::Event::NonRoutableGateway => {
            tracing::debug!("the router has no public address to forward a port from");
        }
    }
}
