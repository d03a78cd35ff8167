//! How nodes find, refuse, lose and find each other again.

mod common;

use std::collections::HashSet;
use std::time::Duration;

use baton_network::{Banned, DialError, Event, Network, NetworkError, Penalty, Settings, Topic};
use bytes::Bytes;
use common::{Node, eventually, settings, start, until};

async fn peers_of(node: &Node) -> HashSet<baton_network::PeerId> {
    node.network
        .peers()
        .await
        .into_iter()
        .map(|peer| peer.peer)
        .collect()
}

#[tokio::test]
async fn five_find_each_other_by_one_seed_and_gossip_reaches_all() {
    let seed = start(1, |_| {}).await;
    let mut nodes = vec![seed];
    for number in 2..=5 {
        let known = nodes[0].address();
        nodes.push(start(number, |settings| settings.seeds = vec![known]).await);
    }
    let all: HashSet<_> = nodes.iter().map(Node::id).collect();
    for node in &nodes {
        // four outbound connections are enough to know everybody here
        eventually("everybody is connected to everybody", async || {
            peers_of(node).await.len() == 4
        })
        .await;
        assert!(peers_of(node).await.is_subset(&all));
    }
    for number in 0..nodes.len() {
        let vote = Bytes::from(format!("vote {number}"));
        let publisher = nodes[number].id();
        eventually("somebody is subscribed", async || {
            nodes[number]
                .network
                .publish(Topic::Consensus, vote.clone())
                .await
                .is_ok()
        })
        .await;
        for (other, node) in nodes.iter_mut().enumerate() {
            if other != number {
                node.until("the vote", |event| match event {
                    Event::Message(message) if message.bytes == vote => {
                        assert_eq!(message.publisher, Some(publisher));
                        Some(())
                    }
                    _ => None,
                })
                .await;
            }
        }
    }
}

#[tokio::test]
async fn who_finds_the_seed_full_is_told_of_others() {
    let seed = start(1, |settings| {
        settings.max_peers = 1;
        settings.outbound_peers = 0;
    })
    .await;
    let known = seed.address();
    let mut first = start(2, |settings| settings.seeds = vec![known.clone()]).await;
    first.connected(seed.id()).await;
    let mut second = start(3, |settings| settings.seeds = vec![known.clone()]).await;
    second.connected(first.id()).await;
    eventually("the visit is over", async || {
        peers_of(&second).await == HashSet::from([first.id()])
    })
    .await;
    assert_eq!(peers_of(&seed).await, HashSet::from([first.id()]));
}

#[tokio::test]
async fn a_transaction_passes_through_those_in_between() {
    // a line: every node knows the one before it only
    let mut nodes = vec![start(1, |settings| settings.outbound_peers = 0).await];
    for number in 2..=4 {
        let node = start(number, |settings| settings.outbound_peers = 0).await;
        node.network
            .dial(nodes[nodes.len() - 1].address())
            .await
            .unwrap();
        nodes.push(node);
    }
    for number in 0..3 {
        let next = nodes[number + 1].id();
        nodes[number].subscribed(next, Topic::Transactions).await;
    }
    nodes[0]
        .network
        .publish(Topic::Transactions, Bytes::from_static(b"pay"))
        .await
        .unwrap();
    for node in &mut nodes[1..] {
        let message = until(
            &mut node.events.transactions,
            "the transaction",
            |event| match event {
                Event::Message(message) => Some(message),
                _ => None,
            },
        )
        .await;
        assert_eq!(message.bytes, "pay");
        node.network
            .verdict(message.id, message.from, baton_network::Verdict::Accept)
            .await;
    }
    assert_eq!(nodes[0].network.peer_count(), 1);
}

#[tokio::test]
async fn a_discovered_peer_is_exchanged_for_another_in_time() {
    let alone = |settings: &mut Settings| settings.outbound_peers = 0;
    let first = start(1, alone).await;
    let other = start(2, alone).await;
    let seed = first.address();
    let mut node = start(3, |settings| {
        settings.seeds = vec![seed];
        settings.outbound_peers = 1;
        settings.limits.change_peers = Duration::from_secs(1);
    })
    .await;
    node.connected(first.id()).await;
    // it comes, is remembered, and goes
    other.network.dial(node.address()).await.unwrap();
    node.connected(other.id()).await;
    other.network.disconnect(node.id()).await.unwrap();
    node.disconnected(other.id()).await;

    let info = node.connected(other.id()).await;
    assert_eq!(info.direction, baton_network::Direction::Outbound);
    node.disconnected(first.id()).await;
    assert_eq!(peers_of(&node).await, HashSet::from([other.id()]));
}

#[tokio::test]
async fn the_address_book_survives_a_restart_without_seeds() {
    let mut seed = start(1, |_| {}).await;
    let (other_id, directory);
    {
        let known = seed.address();
        let node = start(2, |settings| settings.seeds = vec![known]).await;
        seed.connected(node.id()).await;
        other_id = node.id();
        eventually("it is connected", async || node.network.peer_count() == 1).await;
        node.network.shutdown().await;
        directory = node.directory;
    }
    seed.disconnected(other_id).await;
    let (again, _events) = Network::start(settings(2, directory.path())).await.unwrap();
    seed.connected(again.local_peer_id()).await;
}

#[tokio::test]
async fn another_chain_and_another_network_are_refused_on_both_sides() {
    let node = start(1, |_| {}).await;
    let other_chain = start(2, |settings| settings.chain = "decaf".to_owned()).await;
    let other_network = start(3, |settings| settings.network_id = "mainnet".to_owned()).await;
    for other in [&other_chain, &other_network] {
        let error = other.network.dial(node.address()).await.unwrap_err();
        match error {
            // whoever reads the other's introduction first hangs up
            DialError::OtherChain { theirs, .. } => assert_eq!(theirs, "/baton/test/c0ffee/1"),
            DialError::HungUp(address) => assert_eq!(address, node.address().to_string()),
            other => panic!("{other}"),
        }
        eventually("it is gone", async || other.network.counters().peers == 0).await;
    }
    eventually("both were refused", async || {
        let refused = |node: &Node| node.network.counters().refused;
        refused(&node) + refused(&other_chain) + refused(&other_network) >= 2
    })
    .await;
    assert_eq!(node.network.peer_count(), 0);
    assert!(node.network.peers().await.is_empty());
}

#[tokio::test]
async fn a_dial_that_fails_says_why() {
    let a = start(1, |_| {}).await;
    let b = start(2, |_| {}).await;
    let dial = |address: String| {
        let network = a.network.clone();
        async move { network.dial(address.parse().unwrap()).await.unwrap_err() }
    };
    assert_eq!(dial(a.address().to_string()).await, DialError::Myself);

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = free.local_addr().unwrap().to_string();
    drop(free);
    let error = dial(closed.clone()).await.to_string();
    assert_eq!(
        error,
        format!("dial tcp {closed}: Connection refused (os error 111)")
    );

    let key = baton_network::identity::peer_hex(&start(9, |_| {}).await.id());
    let error = dial(format!("{key}@{}", b.address())).await;
    assert!(
        matches!(&error, DialError::WrongPeer { found, .. } if *found == baton_network::identity::peer_hex(&b.id())),
        "{error}"
    );

    a.network.dial(b.address()).await.unwrap();
    assert_eq!(dial(b.address().to_string()).await, DialError::Duplicate);
    assert_eq!(
        dial(b.address().with_peer(b.id()).to_string()).await,
        DialError::Duplicate
    );

    let vault = start(3, |settings| settings.vault = true).await;
    assert!(vault.network.listen_addresses().is_empty());
    assert_eq!(
        vault
            .network
            .dial(b.address())
            .await
            .unwrap_err()
            .to_string(),
        "can't dial peer in vault mode"
    );
}

#[tokio::test]
async fn who_listens_but_says_nothing_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let node = start(1, |settings| {
        settings.handshake_timeout = Duration::from_millis(300);
    })
    .await;
    let error = node.network.dial(address.into()).await.unwrap_err();
    assert!(matches!(error, DialError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn inbound_peers_beyond_the_maximum_are_refused_and_kept_ones_are_not() {
    let alone = |settings: &mut Settings| settings.outbound_peers = 0;
    let friend = start(4, alone).await;
    let mut node = start(1, |settings| {
        settings.max_peers = 2;
        settings.outbound_peers = 0;
        // never reached from here: known by its key only
        settings.keep_dial = vec![
            "127.0.0.1:1"
                .parse::<baton_network::PeerAddress>()
                .unwrap()
                .with_peer(friend.id()),
        ];
    })
    .await;
    let others = [start(2, alone).await, start(3, alone).await];
    for other in &others {
        other.network.dial(node.address()).await.unwrap();
        node.connected(other.id()).await;
    }
    let late = start(5, alone).await;
    let error = late.network.dial(node.address()).await.unwrap_err();
    assert_eq!(error, DialError::Full(node.address().to_string()));
    assert_eq!(node.network.counters().refused, 1);
    assert_eq!(node.network.peer_count(), 2);

    friend.network.dial(node.address()).await.unwrap();
    assert!(node.connected(friend.id()).await.kept);

    node.network.disconnect(others[0].id()).await.unwrap();
    node.disconnected(others[0].id()).await;
    node.network.disconnect(others[1].id()).await.unwrap();
    node.disconnected(others[1].id()).await;
    eventually("there is room", async || {
        match late.network.dial(node.address()).await {
            Ok(_) => true,
            // that the last visit is over may not be seen everywhere yet
            Err(DialError::Full(_) | DialError::HungUp(_)) => false,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    assert!(node.network.disconnect(others[0].id()).await.is_err());
}

#[tokio::test]
async fn a_ban_holds_over_a_restart_and_ends_when_it_is_lifted() {
    let directory = tempfile::tempdir().unwrap();
    let bad = start(2, |_| {}).await;
    let (node, mut events) = Network::start(settings(1, directory.path())).await.unwrap();
    bad.network
        .dial(node.listen_addresses()[0].clone())
        .await
        .unwrap();
    until(&mut events.consensus, "a connection", |event| {
        matches!(event, Event::Connected(_)).then_some(())
    })
    .await;
    for _ in 0..5 {
        node.penalise(bad.id(), Penalty::ILLEGAL, "a vote signed by nobody")
            .await;
    }
    assert_eq!(node.peers().await[0].score, 100);
    assert!(node.bans().await.is_empty());
    node.penalise(bad.id(), Penalty::ILLEGAL, "a vote signed by nobody")
        .await;
    until(&mut events.consensus, "a hang-up", |event| {
        matches!(event, Event::Disconnected(_)).then_some(())
    })
    .await;
    let bans = node.bans().await;
    assert_eq!(
        (bans[0].who, &*bans[0].reason),
        (Banned::Peer(bad.id()), "a vote signed by nobody")
    );
    node.shutdown().await;

    let (node, _events) = Network::start(settings(1, directory.path())).await.unwrap();
    assert_eq!(node.bans().await, bans);
    let address = node.listen_addresses()[0].clone();
    let error = bad.network.dial(address.clone()).await.unwrap_err();
    assert!(matches!(error, DialError::HungUp(_)), "{error}");
    let error = node.dial(bad.address()).await.unwrap_err();
    assert!(
        matches!(&error, DialError::Banned { reason, .. } if reason == "a vote signed by nobody"),
        "{error}"
    );
    assert!(node.unban(Banned::Peer(bad.id())).await);
    assert!(!node.unban(Banned::Peer(bad.id())).await);
    bad.network.dial(address).await.unwrap();
}

#[tokio::test]
async fn a_banned_address_is_not_let_in_and_hung_up_on() {
    let (mut a, b) = common::pair().await;
    let host = b.address().ip().unwrap();
    a.network
        .ban(
            Banned::Host(host),
            "a bad neighbourhood",
            Duration::from_mins(1),
        )
        .await;
    a.disconnected(b.id()).await;
    assert!(b.network.dial(a.address()).await.is_err());
    assert!(matches!(
        a.network.dial(b.address()).await,
        Err(DialError::Banned { .. })
    ));
}

#[tokio::test]
async fn a_ban_ends_by_itself() {
    let (mut a, mut b) = common::pair().await;
    let (a_id, b_id) = (a.id(), b.id());
    a.network
        .ban(
            Banned::Peer(b_id),
            "an hour would be long for a test",
            Duration::from_millis(200),
        )
        .await;
    a.disconnected(b_id).await;
    b.disconnected(a_id).await;
    eventually("it is let in again", async || {
        // its own discovery may be faster
        matches!(
            b.network.dial(a.address()).await,
            Ok(_) | Err(DialError::Duplicate)
        )
    })
    .await;
    eventually("the list forgets it", async || {
        a.network.bans().await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_kept_peer_is_found_again_after_it_restarts_on_its_port_at_once() {
    let home = tempfile::tempdir().unwrap();
    let (server, events) = Network::start(settings(1, home.path())).await.unwrap();
    let (server_id, address) = (server.local_peer_id(), server.listen_addresses()[0].clone());
    drop(events);
    let mut client = start(2, |settings| {
        settings.keep_dial = vec![address.clone()];
        settings.outbound_peers = 0;
    })
    .await;
    assert!(client.connected(server_id).await.kept);
    let mut server = server;
    for _ in 0..3 {
        server.shutdown().await;
        let mut again = settings(1, home.path());
        again.listen = Some((address.ip().unwrap(), address.port()).into());
        // no waiting: the port is free when the shutdown has returned
        let (restarted, events) = Network::start(again).await.unwrap();
        drop(events);
        server = restarted;
        client.disconnected(server_id).await;
        client.connected(server_id).await;
    }
    assert!(client.network.release(address.clone()).await);
    assert!(!client.network.release(address).await);
}

#[tokio::test]
async fn a_peer_is_kept_from_the_moment_it_is_asked_for() {
    let a = start(1, |settings| settings.outbound_peers = 0).await;
    let mut b = start(2, |settings| settings.outbound_peers = 0).await;
    b.network.keep(a.address()).await;
    assert!(b.connected(a.id()).await.kept);
    b.network.disconnect(a.id()).await.unwrap();
    b.disconnected(a.id()).await;
    b.connected(a.id()).await;
}

#[tokio::test]
async fn two_that_dial_each_other_at_once_end_up_connected() {
    let alone = |settings: &mut Settings| settings.outbound_peers = 0;
    let (mut a, mut b) = (start(1, alone).await, start(2, alone).await);
    for round in 0..5 {
        tokio::join!(a.network.keep(b.address()), b.network.keep(a.address()));
        common::join(&mut a, &mut b).await;
        for (from, to) in [(&a.network, &mut b.events), (&b.network, &mut a.events)] {
            let vote = Bytes::from(format!("round {round}"));
            from.publish(Topic::Consensus, vote.clone()).await.unwrap();
            until(&mut to.consensus, "a vote", |event| match event {
                Event::Message(message) => {
                    assert_eq!(message.bytes, vote);
                    Some(())
                }
                _ => None,
            })
            .await;
        }
        assert_eq!(
            (a.network.peers().await.len(), b.network.peers().await.len()),
            (1, 1)
        );
        a.network.release(b.address()).await;
        b.network.release(a.address()).await;
        a.network.disconnect(b.id()).await.unwrap();
        a.disconnected(b.id()).await;
        b.disconnected(a.id()).await;
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_even_though_libp2p_would_share_it() {
    let first = start(1, |_| {}).await;
    let directory = tempfile::tempdir().unwrap();
    let mut second = settings(2, directory.path());
    second.listen = Some((first.address().ip().unwrap(), first.address().port()).into());
    let error = Network::start(second).await.unwrap_err();
    assert!(
        matches!(&error, NetworkError::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse),
        "{error}"
    );
}

#[tokio::test]
async fn files_that_make_no_sense_are_put_aside_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["bans.json", "peers.json"] {
        std::fs::write(directory.path().join(name), b"\xff not json").unwrap();
    }
    let (network, _events) = Network::start(settings(1, directory.path())).await.unwrap();
    assert!(network.bans().await.is_empty());
    network.shutdown().await;
    for name in ["bans.broken", "peers.broken"] {
        assert_eq!(
            std::fs::read(directory.path().join(name)).unwrap(),
            b"\xff not json"
        );
    }
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let refused = async |change: fn(&mut Settings)| {
        let mut settings = settings(1, directory.path());
        change(&mut settings);
        Network::start(settings).await.unwrap_err().to_string()
    };
    assert!(
        refused(|settings| settings.chain = "a/b".to_owned())
            .await
            .contains("`a/b`")
    );
    assert!(
        refused(|settings| settings.limits.response_bytes = 0)
            .await
            .contains("response_bytes")
    );
    let error = refused(|settings| settings.directory = "/proc/version/network".into()).await;
    assert!(error.contains("/proc/version/network"), "{error}");
}
