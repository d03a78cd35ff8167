//! Peers that do what no honest node does. They are nodes with limits of their own.

mod common;

use std::time::Duration;

use baton_network::{Event, RequestFailure, Topic};
use bytes::Bytes;
use common::{Node, eventually, join, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A node that keeps the usual limits, and one that does not.
async fn honest_and_not() -> (Node, Node) {
    let mut honest = start(1, |_| {}).await;
    let mut hostile = start(2, |settings| {
        settings.limits.request_bytes = 64 << 20;
        settings.limits.response_bytes = 64 << 20;
        settings.limits.vote_bytes = 4 << 20;
        settings.limits.proposal_bytes = 4 << 20;
        settings.limits.status_bytes = 4 << 20;
    })
    .await;
    hostile.network.dial(honest.address()).await.unwrap();
    join(&mut honest, &mut hostile).await;
    (honest, hostile)
}

async fn score(of: &Node, by: &Node) -> u32 {
    by.network
        .peers()
        .await
        .iter()
        .find(|peer| peer.peer == of.id())
        .map_or(0, |peer| peer.score)
}

#[tokio::test]
async fn a_request_that_is_too_large_is_not_read_and_six_are_a_ban() {
    let (mut honest, mut hostile) = honest_and_not().await;
    for count in 1..=5 {
        hostile
            .network
            .request(honest.id(), vec![0; 32 << 20].into())
            .await;
        eventually("it is charged", async || {
            score(&hostile, &honest).await == count * 20
        })
        .await;
    }
    let received = honest.network.peers().await[0].traffic.received;
    assert!(received < 16 << 20, "of 160 MiB {received} bytes were read");
    hostile
        .network
        .request(honest.id(), vec![0; 32 << 20].into())
        .await;
    honest.disconnected(hostile.id()).await;
    assert_eq!(honest.network.bans().await.len(), 1);
    let reason = hostile
        .until("a failure", |event| match event {
            Event::RequestFailed { reason, .. } => Some(reason),
            _ => None,
        })
        .await;
    assert!(
        matches!(
            reason,
            RequestFailure::Io | RequestFailure::ConnectionClosed
        ),
        "{reason}"
    );
    assert_eq!(honest.network.counters().requests_received, 0);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let (mut honest, mut hostile) = honest_and_not().await;
    let id = honest
        .network
        .request(hostile.id(), Bytes::from_static(b"?"))
        .await;
    let asked = hostile
        .until("a request", |event| match event {
            Event::Request { id, .. } => Some(id),
            _ => None,
        })
        .await;
    hostile
        .network
        .respond(asked, vec![0; 32 << 20].into())
        .await;
    let failed = honest
        .until("a failure", |event| match event {
            Event::RequestFailed { id, reason, .. } => Some((id, reason)),
            _ => None,
        })
        .await;
    assert_eq!(failed, (id, RequestFailure::Io));
    assert_eq!(score(&hostile, &honest).await, 20);
}

#[tokio::test]
async fn a_status_that_is_too_large_is_charged() {
    let (honest, hostile) = honest_and_not().await;
    hostile.network.status(vec![0; 1 << 20].into()).await;
    eventually("it is charged", async || {
        score(&hostile, &honest).await == 20
    })
    .await;
}

#[tokio::test]
async fn votes_beyond_the_limit_of_their_topic_reach_nobody_and_end_in_a_ban() {
    let (mut honest, hostile) = honest_and_not().await;
    let mut number = 0_u32;
    eventually("it is banned", async || {
        number += 1;
        let mut vote = vec![0; 300 << 10];
        vote[..4].copy_from_slice(&number.to_be_bytes());
        hostile
            .network
            .publish(Topic::Consensus, vote.into())
            .await
            .ok();
        !honest.network.bans().await.is_empty()
    })
    .await;
    honest
        .until("the end of the connection", |event| match event {
            Event::Message(_) => panic!("a vote beyond the limit arrived"),
            Event::Disconnected(peer) => (peer == hostile.id()).then_some(()),
            _ => None,
        })
        .await;
    assert_eq!(honest.network.counters().received, [0; 4]);
}

#[tokio::test]
async fn a_gossip_frame_beyond_all_limits_is_dropped_and_others_are_served() {
    let (mut honest, hostile) = honest_and_not().await;
    hostile
        .network
        .publish(Topic::Proposals, vec![0; 3 << 20].into())
        .await
        .unwrap();
    let other = start(3, |_| {}).await;
    other.network.dial(honest.address()).await.unwrap();
    honest.subscribed(other.id(), Topic::Consensus).await;
    eventually("it is subscribed too", async || {
        other
            .network
            .publish(Topic::Consensus, Bytes::from_static(b"yes"))
            .await
            .is_ok()
    })
    .await;
    let message = honest
        .until("a vote", |event| match event {
            Event::Message(message) => Some(message),
            _ => None,
        })
        .await;
    assert_eq!(
        (message.bytes, message.from),
        (Bytes::from_static(b"yes"), other.id())
    );
}

#[tokio::test]
async fn what_is_no_handshake_is_cut_off_and_others_come_in() {
    let mut node = start(1, |settings| {
        settings.handshake_timeout = Duration::from_millis(500);
    })
    .await;
    let address = (node.address().ip().unwrap(), node.address().port());
    let mut garbage = tokio::net::TcpStream::connect(address).await.unwrap();
    garbage.write_all(&[0xff; 4096]).await.unwrap();
    // cut off at once, or when the time for the handshake is over
    let mut silent = tokio::net::TcpStream::connect(address).await.unwrap();
    for stream in [&mut garbage, &mut silent] {
        let end = tokio::time::timeout(common::DEADLINE, async {
            let mut buffer = [0; 1024];
            while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
        });
        end.await.expect("the connection is closed");
    }
    let other = start(2, |_| {}).await;
    other.network.dial(node.address()).await.unwrap();
    node.connected(other.id()).await;
}
