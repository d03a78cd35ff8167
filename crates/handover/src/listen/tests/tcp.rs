use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::*;

#[tokio::test]
async fn connections_queue_until_the_gate_opens_and_end_when_it_closes() {
    let (keeper, mut table) = fresh();
    let mut listener = table.tcp("web", any_port()).expect("bound");
    let mut client =
        StdStream::connect(listener.local_addr().expect("an address")).expect("queued");
    client.write_all(b"early").expect("the kernel takes it");

    // Polled once while the gate waits: nothing is accepted, though the queue is not empty.
    assert!(
        tokio::time::timeout(Duration::ZERO, listener.accept())
            .await
            .is_err()
    );
    keeper.set(Flow::Open);
    let (stream, peer) = soon(listener.accept())
        .await
        .expect("no error")
        .expect("open");
    assert_eq!(peer, client.local_addr().expect("an address"));
    let mut stream = stream.into_std().expect("deregistered");
    stream.set_nonblocking(false).expect("blocking");
    let mut said = [0; 5];
    stream.read_exact(&mut said).expect("read");
    assert_eq!(&said, b"early");

    keeper.set(Flow::Closed);
    let end = soon(listener.accept()).await.expect("no error");
    assert!(end.is_none());
}

#[tokio::test]
async fn what_arrives_during_a_freeze_is_accepted_after_a_roll_back() {
    let (keeper, mut table) = fresh();
    keeper.set(Flow::Open);
    let mut listener = table.tcp("web", any_port()).expect("bound");
    let address = listener.local_addr().expect("an address");
    let _first = StdStream::connect(address).expect("connected");
    let _second = StdStream::connect(address).expect("connected");
    soon(listener.accept())
        .await
        .expect("no error")
        .expect("open");
    // The second is announced already; the freeze comes before it is accepted.
    keeper.set(Flow::Wait);
    assert!(
        tokio::time::timeout(Duration::ZERO, listener.accept())
            .await
            .is_err()
    );
    keeper.set(Flow::Open);
    soon(listener.accept())
        .await
        .expect("no error")
        .expect("it is still announced");
}

#[tokio::test]
async fn the_successor_accepts_what_its_predecessor_left_in_the_queue() {
    let (_old, mut table) = fresh();
    let listener = table.tcp("web", any_port()).expect("bound");
    let address = listener.local_addr().expect("an address");
    let clients: Vec<_> = (0..100)
        .map(|_| StdStream::connect(address).expect("queued"))
        .collect();

    let (keeper, mut next) = successor(&table);
    let mut inherited = next.tcp("web", address).expect("inherited");
    drop((listener, table));
    keeper.set(Flow::Open);
    for _ in &clients {
        soon(inherited.accept())
            .await
            .expect("no error")
            .expect("open");
    }
    assert!(next.unclaimed().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_is_taken_once_while_the_duty_goes_back_and_forth() {
    let (first, mut table) = fresh();
    let listener = table.tcp("web", any_port()).expect("bound");
    let address = listener.local_addr().expect("an address");
    let (second, mut next) = successor(&table);
    let inherited = next.tcp("web", address).expect("inherited");
    for (mut listener, mark) in [(listener, 1), (inherited, 2)] {
        tokio::spawn(async move {
            while let Some((stream, _)) = listener.accept().await.expect("no error") {
                while stream.try_write(&[mark]).is_err() {
                    stream.writable().await.expect("writable");
                }
            }
        });
    }
    for round in 0..50 {
        let (from, to, mark) = if round % 2 == 0 {
            (&first, &second, 2)
        } else {
            (&second, &first, 1)
        };
        from.set(Flow::Wait);
        // These come in while nobody accepts, and belong to whoever opens next.
        let clients: Vec<_> = (0..10)
            .map(|_| StdStream::connect(address).expect("queued"))
            .collect();
        to.set(Flow::Open);
        for mut client in clients {
            let marked = tokio::task::spawn_blocking(move || {
                client
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .expect("a deadline");
                let mut byte = [0];
                client.read_exact(&mut byte).expect("somebody accepts it");
                byte[0]
            });
            assert_eq!(marked.await.expect("no panic"), mark);
        }
    }
}

#[tokio::test]
async fn port_zero_takes_the_inherited_port() {
    let (_old, mut table) = fresh();
    let listener = table.tcp("web", any_port()).expect("bound");
    let (_keeper, mut next) = successor(&table);
    let inherited = next.tcp("web", any_port()).expect("inherited");
    assert_eq!(
        inherited.local_addr().expect("an address"),
        listener.local_addr().expect("an address")
    );
}

#[tokio::test]
async fn another_address_is_bound_anew_and_the_old_one_is_named() {
    let (_old, mut table) = fresh();
    let listener = table.tcp("web", any_port()).expect("bound");
    let old = listener.local_addr().expect("an address");
    let (_keeper, mut next) = successor(&table);
    let moved = next
        .tcp("web", "127.0.0.2:0".parse().expect("an address"))
        .expect("bound anew");
    assert_ne!(moved.local_addr().expect("an address"), old);
    assert_eq!(names(&next.unclaimed()), ["web"]);
    assert_eq!(next.offers().expect("described").len(), 1);
    assert_eq!(names(&next.close_unclaimed()), ["web"]);
    assert!(next.unclaimed().is_empty());
    drop((listener, table));
    eventually("a copy is open still", || StdStream::connect(old).is_err());
}

#[tokio::test]
async fn an_address_that_stands_in_its_own_way_is_said_so() {
    let (_old, mut table) = fresh();
    let listener = table.tcp("web", any_port()).expect("bound");
    let port = listener.local_addr().expect("an address").port();
    let (_keeper, mut next) = successor(&table);
    let error = next
        .tcp("web", ([0, 0, 0, 0], port).into())
        .expect_err("the predecessor listens");
    let said = error.to_string();
    assert!(
        said.contains("web holds 127.0.0.1:") && said.contains("or restart"),
        "{said}"
    );
}

#[tokio::test]
async fn an_address_held_under_another_name_is_said_so() {
    let (_old, mut table) = fresh();
    let listener = table.tcp("web", any_port()).expect("bound");
    let address = listener.local_addr().expect("an address");
    let (_keeper, mut next) = successor(&table);
    let error = next.tcp("http", address).expect_err("it is taken");
    assert_eq!(
        error.to_string(),
        format!(
            "http cannot have {address}: web holds {address}; ask for it under that name, or let it go first"
        )
    );
    next.tcp("web", address)
        .expect("under its own name it is there");
    let error = next.tcp("http", address).expect_err("it is taken still");
    assert!(matches!(error, ListenError::Held { .. }), "{error}");
}

#[tokio::test]
async fn a_foreign_socket_on_the_address_is_an_error_of_the_kernel() {
    let foreign = std::net::TcpListener::bind(LOOPBACK).expect("bound");
    let (_keeper, mut table) = fresh();
    let error = table
        .tcp("web", foreign.local_addr().expect("an address"))
        .expect_err("it is taken");
    assert!(matches!(error, ListenError::Bind { .. }), "{error}");
}

#[tokio::test]
async fn a_name_is_asked_for_once_and_has_to_be_valid() {
    let (_keeper, mut table) = fresh();
    table.tcp("web", any_port()).expect("bound");
    let error = table.tcp("web", any_port()).expect_err("twice");
    assert!(matches!(error, ListenError::Duplicate { .. }), "{error}");
    let error = table.tcp_group("web", any_port(), 2).expect_err("twice");
    assert!(matches!(error, ListenError::Duplicate { .. }), "{error}");
    let error = table.tcp("a:b", any_port()).expect_err("no name");
    assert!(matches!(error, ListenError::Name { .. }), "{error}");
}

#[tokio::test]
async fn what_is_not_as_listed_is_not_taken_in() {
    let (_old, mut table) = fresh();
    table.tcp("web", any_port()).expect("bound");
    table.tcp("admin", any_port()).expect("bound");
    let offers = table.offers().expect("described");
    let [(admin, admin_fd), (web, web_fd)] = &offers[..] else {
        panic!("two offers, in the order of names");
    };
    let copy = |fd: &BorrowedFd<'_>| fd.try_clone_to_owned().expect("a duplicate");
    let (_keeper, mut next) = fresh();
    let error = next
        .inherit(web.clone(), copy(admin_fd))
        .expect_err("swapped");
    assert!(matches!(error, InheritError::Verify { .. }), "{error}");
    next.inherit(web.clone(), copy(web_fd)).expect("as listed");
    let error = next.inherit(web.clone(), copy(web_fd)).expect_err("twice");
    assert!(matches!(error, InheritError::Duplicate { .. }), "{error}");
    let unnamed = Listing {
        name: "a:b".to_owned(),
        ..admin.clone()
    };
    let error = next.inherit(unnamed, copy(admin_fd)).expect_err("no name");
    assert!(matches!(error, InheritError::Name { .. }), "{error}");
}

#[tokio::test]
async fn a_group_keeps_every_inherited_queue_and_grows() {
    let (_old, mut table) = fresh();
    let three = table.tcp_group("web", any_port(), 3).expect("bound");
    let address = three[0].local_addr().expect("an address");
    assert!(
        three
            .iter()
            .all(|it| it.local_addr().expect("an address") == address)
    );
    assert_eq!(
        three.iter().map(TcpListener::name).collect::<Vec<_>>(),
        ["web", "web#1", "web#2"]
    );

    let (_keeper, mut next) = successor(&table);
    let kept = next.tcp_group("web", address, 1).expect("inherited");
    assert_eq!(
        kept.len(),
        3,
        "a queue that nobody accepts from would hang its clients"
    );

    let (_keeper, mut last) = successor(&next);
    let grown = last
        .tcp_group("web", any_port(), 5)
        .expect("inherited and bound");
    assert_eq!(grown.len(), 5);
    assert!(
        grown
            .iter()
            .all(|it| it.local_addr().expect("an address") == address)
    );
}

#[tokio::test]
async fn a_listener_bound_alone_becomes_a_group() {
    let (_old, mut table) = fresh();
    let alone = table.tcp("web", any_port()).expect("bound");
    let address = alone.local_addr().expect("an address");
    let (keeper, mut next) = successor(&table);
    let mut group = next
        .tcp_group("web", address, 4)
        .expect("inherited and bound");
    drop((alone, table));
    keeper.set(Flow::Open);
    // Each connection has one queue, and whichever it is, somebody accepts from it.
    let (accepted, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    for mut listener in group.drain(..) {
        let accepted = accepted.clone();
        tokio::spawn(async move {
            while let Ok(Some((_, peer))) = listener.accept().await {
                let _ = accepted.send(peer);
            }
        });
    }
    for _ in 0..64 {
        let client = tokio::net::TcpStream::connect(address)
            .await
            .expect("connected");
        let peer = soon(arrivals.recv()).await.expect("accepted");
        assert_eq!(peer, client.local_addr().expect("an address"));
    }
}

#[tokio::test]
async fn what_a_successor_adds_to_a_group_gets_nothing_before_it_has_the_duty() {
    let (old, mut table) = fresh();
    old.set(Flow::Open);
    let mut listener = table.tcp("web", any_port()).expect("bound");
    let address = listener.local_addr().expect("an address");
    let (_keeper, mut next) = successor(&table);
    let group = next
        .tcp_group("web", address, 8)
        .expect("inherited and bound");
    assert_eq!(group.len(), 8);
    assert_eq!(
        next.offers().expect("described").len(),
        1,
        "the others are not open yet"
    );
    let clients: Vec<_> = (0..64)
        .map(|_| StdStream::connect(address).expect("queued"))
        .collect();
    // The successor fails. Each of the 64 is the predecessor's.
    drop((group, next));
    for _ in &clients {
        soon(listener.accept())
            .await
            .expect("no error")
            .expect("open");
    }
}

#[tokio::test]
async fn an_inherited_queue_gets_the_length_that_is_asked_for() {
    let (_old, mut table) = fresh();
    table.set_backlog(1);
    let listener = table.tcp("web", any_port()).expect("bound");
    let address = listener.local_addr().expect("an address");
    let (keeper, mut next) = successor(&table);
    next.set_backlog(64);
    let mut inherited = next.tcp("web", address).expect("inherited");
    keeper.set(Flow::Open);
    let _first = StdStream::connect(address).expect("queued");
    soon(inherited.accept())
        .await
        .expect("no error")
        .expect("open");
    // With a queue of one the third connection would not be completed.
    let _clients: Vec<_> = (0..32)
        .map(|_| StdStream::connect_timeout(&address, Duration::from_secs(10)).expect("queued"))
        .collect();
}

#[tokio::test]
async fn the_socket_is_not_inherited_by_accident_and_does_not_block() {
    let (_keeper, mut table) = fresh();
    let listener = table.tcp("web", any_port()).expect("bound");
    let flags = rustix::io::fcntl_getfd(&listener).expect("open");
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    assert!(describe::is_nonblocking(&listener).expect("open"));
    assert!(listener.as_fd().as_raw_fd() > 2);
}
