//! What two nodes say to each other.

mod common;

use std::time::Duration;

use baton_network::{Direction, Event, PublishError, RequestFailure, Topic, Verdict};
use bytes::Bytes;
use common::{eventually, pair, start, until};

#[tokio::test]
async fn both_know_each_other_by_key_name_and_address() {
    let (a, b) = pair().await;
    let (of_b, of_a) = (&a.network.peers().await[0], &b.network.peers().await[0]);
    assert_eq!(
        (of_b.peer, &*of_b.moniker, of_b.direction),
        (b.id(), "node 2", Direction::Inbound)
    );
    assert_eq!(
        (of_a.peer, &*of_a.moniker, of_a.direction),
        (a.id(), "node 1", Direction::Outbound)
    );
    assert_eq!(
        (&*of_a.network_id, of_a.address.clone(), of_a.score),
        ("test", a.address(), 0)
    );
    assert_eq!(of_a.key_hex().len(), 64);
    assert_eq!(of_a.version, env!("CARGO_PKG_VERSION"));
    assert_eq!((a.network.peer_count(), b.network.peer_count()), (1, 1));
}

#[tokio::test]
async fn votes_and_parts_arrive_with_their_publisher() {
    let (mut a, b) = pair().await;
    for topic in [Topic::Consensus, Topic::Liveness, Topic::Proposals] {
        let bytes = Bytes::from(vec![
            7;
            if topic == Topic::Proposals {
                1 << 20
            } else {
                1000
            }
        ]);
        b.network.publish(topic, bytes.clone()).await.unwrap();
        let message = a
            .until("a message", |event| match event {
                Event::Message(message) if message.topic == topic => Some(message),
                _ => None,
            })
            .await;
        assert_eq!(
            (message.from, message.publisher, message.bytes),
            (b.id(), Some(b.id()), bytes)
        );
    }
    let (sent, received) = (b.network.counters(), a.network.counters());
    assert_eq!(
        (sent.published, received.received),
        ([1, 1, 1, 0], [1, 1, 1, 0])
    );
}

#[tokio::test]
async fn a_vote_that_is_repeated_arrives_again_and_a_transaction_does_not() {
    let (mut a, b) = pair().await;
    for topic in [Topic::Consensus, Topic::Transactions] {
        b.network
            .publish(topic, Bytes::from_static(b"one"))
            .await
            .unwrap();
        b.network
            .publish(topic, Bytes::from_static(b"one"))
            .await
            .unwrap();
        b.network
            .publish(topic, Bytes::from_static(b"last"))
            .await
            .unwrap();
    }
    let mut heard = Vec::new();
    let collect = |heard: &mut Vec<Bytes>, event| {
        let Event::Message(message) = event else {
            return None;
        };
        heard.push(message.bytes.clone());
        (message.bytes == "last").then_some(message.publisher)
    };
    let publisher = a
        .until("the last vote", |event| collect(&mut heard, event))
        .await;
    assert_eq!((heard.len(), publisher), (3, Some(b.id())));
    heard.clear();
    let publisher = until(
        &mut a.events.transactions,
        "the last transaction",
        |event| collect(&mut heard, event),
    )
    .await;
    assert_eq!(
        (heard.len(), publisher),
        (2, None),
        "transactions are anonymous"
    );
}

#[tokio::test]
async fn what_is_too_large_or_reaches_nobody_is_said() {
    let alone = start(3, |_| {}).await;
    let publish = |topic, size| alone.network.publish(topic, Bytes::from(vec![0; size]));
    assert_eq!(
        publish(Topic::Consensus, 10).await,
        Err(PublishError::NoPeers(Topic::Consensus))
    );
    let error = publish(Topic::Consensus, 1 << 20).await.unwrap_err();
    assert!(
        matches!(error, PublishError::TooLarge { size, limit, .. } if size == 1 << 20 && limit == 256 << 10),
        "{error}"
    );
    alone.network.shutdown().await;
    assert_eq!(
        publish(Topic::Consensus, 10).await,
        Err(PublishError::Closed)
    );
}

#[tokio::test]
async fn requests_are_answered_and_large_answers_arrive_whole() {
    let (mut a, mut b) = pair().await;
    let answer: Bytes = (0..12_u32 << 20).map(|byte| (byte % 251) as u8).collect();
    let id = b
        .network
        .request(a.id(), Bytes::from_static(b"blocks 1 to 9?"))
        .await;
    let (inbound, from, bytes) = a
        .until("a request", |event| match event {
            Event::Request { id, from, bytes } => Some((id, from, bytes)),
            _ => None,
        })
        .await;
    assert_eq!((from, &*bytes), (b.id(), &b"blocks 1 to 9?"[..]));
    assert_eq!(a.network.counters().pending_requests, 1);
    a.network.respond(inbound, answer.clone()).await;
    let (answered, from, bytes) = b
        .until("an answer", |event| match event {
            Event::Response { id, from, bytes } => Some((id, from, bytes)),
            _ => None,
        })
        .await;
    assert_eq!((answered, from), (id, a.id()));
    assert!(bytes == answer, "12 MiB arrive as they were sent");
    assert_eq!(a.network.counters().pending_requests, 0);
    let traffic = b.network.peers().await[0].traffic;
    assert!(
        traffic.received > 12 << 20 && traffic.sent < 1 << 20,
        "{traffic:?}"
    );
}

#[tokio::test]
async fn a_request_that_fails_says_why() {
    let (mut a, mut b) = pair().await;
    let a_id = a.id();
    let failure = |event| match event {
        Event::RequestFailed { id, reason, .. } => Some((id, reason)),
        Event::Response { .. } => panic!("nobody answered"),
        _ => None,
    };
    let declined = b.network.request(a_id, Bytes::from_static(b"?")).await;
    let inbound = a
        .until("a request", |event| match event {
            Event::Request { id, .. } => Some(id),
            _ => None,
        })
        .await;
    a.network.drop_request(inbound).await;
    assert_eq!(
        b.until("a failure", failure).await,
        (declined, RequestFailure::Io)
    );

    let large = b.network.request(a_id, vec![0; 1 << 20].into()).await;
    assert_eq!(
        b.until("a failure", failure).await,
        (large, RequestFailure::TooLarge)
    );

    let cut = b.network.request(a_id, Bytes::from_static(b"?")).await;
    a.until("a request", |event| {
        matches!(event, Event::Request { .. }).then_some(())
    })
    .await;
    a.network.shutdown().await;
    let (mut failed, mut gone) = (None, false);
    b.until("the end of request and connection", |event| {
        match event {
            Event::RequestFailed { id, reason, .. } => failed = Some((id, reason)),
            Event::Disconnected(peer) => gone = peer == a_id,
            _ => {}
        }
        (gone && failed.is_some()).then_some(())
    })
    .await;
    assert_eq!(failed, Some((cut, RequestFailure::ConnectionClosed)));

    let nobody = b.network.request(a_id, Bytes::from_static(b"?")).await;
    assert_eq!(
        b.until("a failure", failure).await,
        (nobody, RequestFailure::NotConnected)
    );
}

#[tokio::test]
async fn the_requests_that_a_peer_may_leave_waiting_are_few() {
    let mut a = start(1, |settings| settings.limits.inbound_requests_per_peer = 2).await;
    let mut b = start(2, |settings| settings.limits.outbound_requests = 5).await;
    b.network.dial(a.address()).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(b.network.request(a.id(), Bytes::from_static(b"?")).await);
    }
    let (mut busy, mut refused) = (0, 0);
    b.until("five failures", |event| {
        match event {
            Event::RequestFailed {
                reason: RequestFailure::Busy,
                ..
            } => busy += 1,
            Event::RequestFailed {
                reason: RequestFailure::Io,
                ..
            } => refused += 1,
            _ => {}
        }
        (busy + refused == 5).then_some(())
    })
    .await;
    assert_eq!((busy, refused), (2, 3));
    assert_eq!(a.network.counters().requests_refused, 3);
    // the two that wait can still be answered
    for _ in 0..2 {
        let id = a
            .until("a request", |event| match event {
                Event::Request { id, .. } => Some(id),
                _ => None,
            })
            .await;
        a.network.respond(id, Bytes::from_static(b"!")).await;
        b.until("an answer", |event| {
            matches!(event, Event::Response { .. }).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_request_that_times_out_is_told_on_both_sides() {
    let short = |settings: &mut baton_network::Settings| {
        settings.limits.request_timeout = Duration::from_millis(300);
    };
    let mut a = start(1, short).await;
    let mut b = start(2, short).await;
    b.network.dial(a.address()).await.unwrap();
    let (forgotten, kept) = {
        let forgotten = b.network.request(a.id(), Bytes::from_static(b"a")).await;
        b.network.cancel(forgotten).await;
        (
            forgotten,
            b.network.request(a.id(), Bytes::from_static(b"b")).await,
        )
    };
    let failed = b
        .until("a failure", |event| match event {
            Event::RequestFailed { id, .. } => Some(id),
            _ => None,
        })
        .await;
    assert_ne!(forgotten, kept);
    assert_eq!(failed, kept, "a cancelled request is not heard of again");
    a.until("the end of an inbound request", |event| {
        matches!(event, Event::InboundFailed { .. }).then_some(())
    })
    .await;
    eventually("no request waits", async || {
        a.network.counters().pending_requests == 0
    })
    .await;
}

#[tokio::test]
async fn the_newest_status_reaches_those_who_are_there_and_those_who_come() {
    let mut a = start(1, |_| {}).await;
    a.network.status(Bytes::from_static(b"old")).await;
    a.network.status(Bytes::from_static(b"height 7")).await;
    let mut b = start(2, |_| {}).await;
    b.network.dial(a.address()).await.unwrap();
    let status = |event| match event {
        Event::Status { bytes, .. } => Some(bytes),
        _ => None,
    };
    assert_eq!(b.until("a status", status).await, "height 7");
    for height in 8..200 {
        a.network.status(format!("height {height}").into()).await;
    }
    let mut heights = 0;
    b.until("the last status", |event| {
        let Event::Status { from, bytes } = event else {
            return None;
        };
        assert_eq!(from, a.network.local_peer_id());
        heights += 1;
        (bytes == "height 199").then_some(())
    })
    .await;
    assert!(heights <= 192);
    b.network.status(Bytes::from_static(b"mine")).await;
    assert_eq!(a.until("a status", status).await, "mine");
}

#[tokio::test]
async fn a_transaction_goes_on_only_when_it_is_accepted() {
    let (a, mut b) = pair().await;
    let mut c = start(3, |_| {}).await;
    c.network.dial(b.address()).await.unwrap();
    common::join(&mut b, &mut c).await;
    for (bytes, verdict) in [
        (&b"bad"[..], Verdict::Reject),
        (b"unknown", Verdict::Ignore),
        (b"good", Verdict::Accept),
    ] {
        a.network
            .publish(Topic::Transactions, Bytes::from_static(bytes))
            .await
            .unwrap();
        let message = until(
            &mut b.events.transactions,
            "a transaction",
            |event| match event {
                Event::Message(message) => Some(message),
                _ => None,
            },
        )
        .await;
        assert_eq!(message.bytes, bytes);
        b.network.verdict(message.id, message.from, verdict).await;
    }
    let arrived = until(
        &mut c.events.transactions,
        "a transaction",
        |event| match event {
            Event::Message(message) => Some(message),
            _ => None,
        },
    )
    .await;
    assert_eq!(
        (arrived.bytes, arrived.from),
        (Bytes::from_static(b"good"), b.id())
    );
    let scores: Vec<_> = b
        .network
        .peers()
        .await
        .iter()
        .map(|peer| (peer.peer, peer.score))
        .collect();
    assert_eq!(scores, [(a.id(), 20), (c.id(), 0)]);
    a.network.shutdown().await;
}

#[tokio::test]
async fn events_that_nobody_takes_hold_up_the_sender_and_none_is_lost() {
    const VOTES: usize = 300;
    let mut a = start(1, |settings| settings.limits.events = 16).await;
    let mut b = start(2, |_| {}).await;
    b.network.dial(a.address()).await.unwrap();
    b.subscribed(a.id(), Topic::Consensus).await;
    for vote in 0..VOTES {
        b.network
            .publish(Topic::Consensus, vote.to_string().into())
            .await
            .unwrap();
        b.network
            .publish(Topic::Transactions, vote.to_string().into())
            .await
            .ok();
    }
    eventually("reading has stopped", async || {
        a.network.counters().stalls > 0
    })
    .await;
    // commands are still served
    assert_eq!(a.network.peers().await.len(), 1);
    let mut next = 0;
    a.until("all votes", |event| {
        if let Event::Message(message) = event {
            assert_eq!(message.bytes, next.to_string());
            next += 1;
        }
        (next == VOTES).then_some(())
    })
    .await;
    assert!(
        a.network.counters().dropped[3] > 0,
        "transactions are dropped, and counted"
    );
}

#[tokio::test]
async fn a_transaction_for_which_no_queue_had_room_is_sent_when_it_is_published_again() {
    let a = start(1, |_| {}).await;
    let mut b = start(2, |settings| settings.limits.events = 16).await;
    b.network.dial(a.address()).await.unwrap();
    b.subscribed(a.id(), Topic::Transactions).await;
    // whoever does not take votes is read from no more, and its queue fills
    for vote in 0..100_u8 {
        a.network
            .publish(Topic::Consensus, vec![vote].into())
            .await
            .unwrap();
    }
    let transaction = |number: u32| Bytes::from(vec![number.to_be_bytes(); 5000].concat());
    let mut last = 0;
    loop {
        last += 1;
        match a
            .network
            .publish(Topic::Transactions, transaction(last))
            .await
        {
            Ok(()) => assert!(last < 100_000, "queues are bounded"),
            Err(error) => {
                assert_eq!(error, PublishError::QueuesFull(Topic::Transactions, 1));
                break;
            }
        }
    }
    let mut votes = b.events.consensus;
    tokio::spawn(async move { while votes.next().await.is_some() {} });
    eventually("there is room", async || {
        a.network
            .publish(Topic::Transactions, transaction(last))
            .await
            .is_ok()
    })
    .await;
    assert_eq!(a.network.counters().published[3], u64::from(last));
    eventually("all have arrived, and the last", async || {
        b.network.counters().received[3] == u64::from(last)
    })
    .await;
}
