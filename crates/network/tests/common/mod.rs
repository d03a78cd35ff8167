//! Nodes on loopback, and waiting for what they tell.

#![allow(dead_code, reason = "each test program uses a part")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use baton_network::{Event, Events, Lane, Network, PeerAddress, PeerId, PeerInfo, Settings, Topic};
use tempfile::TempDir;

/// Far longer than anything takes; a test that waits so long has failed.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) struct Node {
    pub network: Network,
    pub events: Events,
    pub directory: TempDir,
}

/// Settings of a node that listens at a port that the kernel chooses.
pub(crate) fn settings(seed: u8, directory: &Path) -> Settings {
    let mut settings = Settings::new("c0ffee", "test", [seed; 32].into(), directory);
    settings.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    settings.moniker = format!("node {seed}");
    settings.handshake_timeout = Duration::from_secs(10);
    settings
}

pub(crate) async fn start(seed: u8, change: impl FnOnce(&mut Settings)) -> Node {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(seed, directory.path());
    change(&mut settings);
    let (network, events) = Network::start(settings).await.unwrap();
    Node {
        network,
        events,
        directory,
    }
}

impl Node {
    pub(crate) fn id(&self) -> PeerId {
        self.network.local_peer_id()
    }

    pub(crate) fn address(&self) -> PeerAddress {
        self.network.listen_addresses()[0].clone()
    }

    /// The next event of the consensus lane for which `wanted` yields something.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        wanted: impl FnMut(Event) -> Option<T>,
    ) -> T {
        until(&mut self.events.consensus, what, wanted).await
    }

    pub(crate) async fn connected(&mut self, peer: PeerId) -> PeerInfo {
        self.until("a connection", |event| match event {
            Event::Connected(info) if info.peer == peer => Some(*info),
            _ => None,
        })
        .await
    }

    pub(crate) async fn disconnected(&mut self, peer: PeerId) {
        self.until("the end of a connection", |event| match event {
            Event::Disconnected(gone) if gone == peer => Some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn subscribed(&mut self, peer: PeerId, topic: Topic) {
        self.until("a subscription", |event| match event {
            Event::Subscribed(who, what) if who == peer && what == topic => Some(()),
            _ => None,
        })
        .await;
    }
}

pub(crate) async fn until<T>(
    lane: &mut Lane,
    what: &str,
    mut wanted: impl FnMut(Event) -> Option<T>,
) -> T {
    let found = async {
        loop {
            let event = lane.next().await.expect("the network runs");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    tokio::time::timeout(DEADLINE, found)
        .await
        .unwrap_or_else(|_| panic!("no {what} within {DEADLINE:?}"))
}

/// Asks again and again until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asking)
        .await
        .unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"));
}

/// Two nodes, the second of which has dialled the first; both know the other's subscriptions.
pub(crate) async fn pair() -> (Node, Node) {
    let mut a = start(1, |_| {}).await;
    let mut b = start(2, |_| {}).await;
    b.network.dial(a.address()).await.unwrap();
    join(&mut a, &mut b).await;
    (a, b)
}

/// Waits until both are connected and subscribed to all topics of each other.
pub(crate) async fn join(a: &mut Node, b: &mut Node) {
    let (a_id, b_id) = (a.id(), b.id());
    for (node, other) in [(a, b_id), (b, a_id)] {
        let mut missing = Topic::ALL.to_vec();
        node.until("all subscriptions", |event| {
            if let Event::Subscribed(peer, topic) = event
                && peer == other
            {
                missing.retain(|one| *one != topic);
            }
            missing.is_empty().then_some(())
        })
        .await;
    }
}
