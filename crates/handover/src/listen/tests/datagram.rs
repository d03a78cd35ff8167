use std::io::{Read, Seek, Write};
use std::net::UdpSocket as StdUdp;
use std::os::unix::net::UnixDatagram as StdDatagram;

use rustix::fs::{FlockOperation, flock};

use super::*;

#[tokio::test]
async fn datagrams_wait_for_the_gate_and_for_the_successor() {
    let (old, mut table) = fresh();
    let socket = table.udp("dns", any_port()).expect("bound");
    let address = socket.local_addr().expect("an address");
    let client = StdUdp::bind(LOOPBACK).expect("bound");
    client.send_to(b"one", address).expect("sent");
    client.send_to(b"two", address).expect("sent");

    let mut buffer = [0; 16];
    assert!(
        tokio::time::timeout(Duration::ZERO, socket.recv_from(&mut buffer))
            .await
            .is_err()
    );
    old.set(Flow::Open);
    let (len, from) = soon(socket.recv_from(&mut buffer))
        .await
        .expect("no error")
        .expect("open");
    assert_eq!(&buffer[..len], b"one");
    assert_eq!(from, client.local_addr().expect("an address"));

    old.set(Flow::Wait);
    assert!(
        tokio::time::timeout(Duration::ZERO, socket.recv_from(&mut buffer))
            .await
            .is_err()
    );
    let (keeper, mut next) = successor(&table);
    let inherited = next.udp("dns", any_port()).expect("inherited");
    keeper.set(Flow::Open);
    old.set(Flow::Closed);
    assert!(
        soon(socket.recv_from(&mut buffer))
            .await
            .expect("no error")
            .is_none()
    );
    let (len, from) = soon(inherited.recv_from(&mut buffer))
        .await
        .expect("no error")
        .expect("open");
    assert_eq!(&buffer[..len], b"two");

    // Answers go out from either generation, from the one address.
    socket.send_to(b"late", from).await.expect("sent");
    inherited.send_to(b"new", from).await.expect("sent");
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a deadline");
    for expected in [&b"late"[..], b"new"] {
        let (len, sender) = client.recv_from(&mut buffer).expect("received");
        assert_eq!((&buffer[..len], sender), (expected, address));
    }
}

#[tokio::test]
async fn a_udp_socket_bound_alone_becomes_a_group() {
    let (_old, mut table) = fresh();
    let alone = table.udp("dns", any_port()).expect("bound");
    let address = alone.local_addr().expect("an address");
    let (keeper, mut next) = successor(&table);
    let group = next
        .udp_group("dns", address, 3)
        .expect("inherited and bound");
    assert_eq!(group.len(), 3);
    drop((alone, table));
    keeper.set(Flow::Open);
    let (received, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    for socket in group {
        assert_eq!(socket.local_addr().expect("an address"), address);
        let received = received.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 16];
            while let Ok(Some((_, from))) = socket.recv_from(&mut buffer).await {
                let _ = received.send(from);
            }
        });
    }
    for _ in 0..32 {
        let client = StdUdp::bind(LOOPBACK).expect("bound");
        client.send_to(b"x", address).expect("sent");
        let from = soon(arrivals.recv()).await.expect("received");
        assert_eq!(from, client.local_addr().expect("an address"));
    }
}

#[tokio::test]
async fn what_a_successor_adds_to_a_udp_group_gets_nothing_before_it_has_the_duty() {
    let (old, mut table) = fresh();
    old.set(Flow::Open);
    let socket = table.udp("dns", any_port()).expect("bound");
    let address = socket.local_addr().expect("an address");
    let (keeper, mut next) = successor(&table);
    let group = next
        .udp_group("dns", address, 8)
        .expect("inherited and made");
    assert!(
        group
            .iter()
            .all(|it| it.local_addr().expect("an address") == address)
    );
    assert_eq!(
        next.offers().expect("described").len(),
        1,
        "the others are not open yet"
    );
    let clients: Vec<_> = (0..32)
        .map(|_| StdUdp::bind(LOOPBACK).expect("bound"))
        .collect();
    let mut buffer = [0; 16];
    for client in &clients {
        client.send_to(b"x", address).expect("sent");
        let (_, from) = soon(socket.recv_from(&mut buffer))
            .await
            .expect("no error")
            .expect("open");
        assert_eq!(from, client.local_addr().expect("an address"));
    }
    // A new member answers from the group's address, once it is its turn.
    old.set(Flow::Closed);
    keeper.set(Flow::Open);
    let to = clients[0].local_addr().expect("an address");
    soon(group[7].send_to(b"y", to)).await.expect("sent");
    clients[0]
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a deadline");
    let (_, from) = clients[0].recv_from(&mut buffer).expect("received");
    assert_eq!(from, address);
    assert_eq!(next.offers().expect("described").len(), 2);
}

#[tokio::test]
async fn tcp_and_udp_share_a_port_but_not_a_name() {
    let (_keeper, mut table) = fresh();
    let tcp = table.tcp("dns", any_port()).expect("bound");
    let address = tcp.local_addr().expect("an address");
    let error = table.udp("dns", address).expect_err("the name is taken");
    assert!(matches!(error, ListenError::Duplicate { .. }), "{error}");

    let (_next_keeper, mut next) = successor(&table);
    // The name is a TCP listener's: it stays unclaimed, and the UDP socket is bound beside it.
    if next.udp("dns", address).is_ok() {
        assert_eq!(names(&next.unclaimed()), ["dns"]);
    }
}

#[tokio::test]
async fn unix_datagrams_are_answered_by_the_successor() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let (_old, mut table) = fresh();
    let socket = table
        .unix_datagram("log", &path.as_path().into())
        .expect("bound");
    let back = dir.path().join("client");
    let client = StdDatagram::bind(&back).expect("bound");
    client.send_to(b"hello", &path).expect("sent");
    StdDatagram::unbound()
        .expect("a socket")
        .send_to(b"nameless", &path)
        .expect("sent");
    let (keeper, mut next) = successor(&table);
    let inherited = next
        .unix_datagram("log", &path.as_path().into())
        .expect("inherited");
    drop((socket, table));
    keeper.set(Flow::Open);
    let mut buffer = [0; 16];
    let (len, from) = soon(inherited.recv_from(&mut buffer))
        .await
        .expect("no error")
        .expect("open");
    assert_eq!(
        (&buffer[..len], &from),
        (&b"hello"[..], &Address::Path(back))
    );
    inherited.send_to(b"you too", &from).await.expect("sent");
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a deadline");
    assert_eq!(client.recv(&mut buffer).expect("received"), 7);

    let (_, from) = soon(inherited.recv_from(&mut buffer))
        .await
        .expect("no error")
        .expect("open");
    assert_eq!(from, Address::None);
    inherited
        .send_to(b"x", &from)
        .await
        .expect_err("nowhere to send to");
}

#[test]
fn a_file_keeps_its_offset_and_its_lock() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("data");
    std::fs::write(&path, "0123456789").expect("written");
    let open = || std::fs::File::options().read(true).write(true).open(&path);
    let (_old, mut table) = fresh();
    let mut file = table.file("data", open).expect("opened");
    flock(&file, FlockOperation::NonBlockingLockExclusive).expect("locked");
    file.read_exact(&mut [0; 4]).expect("read");

    let (_keeper, mut next) = successor(&table);
    drop((file, table));
    let rival = open().expect("opened");
    flock(&rival, FlockOperation::NonBlockingLockExclusive).expect_err("the lock came along");
    let mut inherited = next
        .file("data", || {
            Err(io::Error::other("it must not be opened again"))
        })
        .expect("inherited");
    assert_eq!(inherited.stream_position().expect("an offset"), 4);
    inherited.write_all(b"x").expect("written");
    flock(&inherited, FlockOperation::Unlock).expect("unlocked");
    flock(&rival, FlockOperation::NonBlockingLockExclusive).expect("free");
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let (_keeper, mut table) = fresh();
    let error = table
        .file("data", || std::fs::File::open("/nonexistent/data"))
        .expect_err("not there");
    assert_eq!(error.to_string(), "data cannot be opened");
    table
        .file("data", || std::fs::File::open("/dev/null"))
        .expect("the name is still free");
}
