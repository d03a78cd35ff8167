//! Everything that two generations may hold at once moves by its name, and nothing that waits in it is lost.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as unix;
use std::path::Path;

use baton_handover::control::UpgradeRequest;
use rustix::fs::{FlockOperation, flock};
use rustix::net::{
    AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, socket_with,
};
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UdpSocket, UnixStream};

use crate::harness::{Server, gone, signal, within};

async fn greeting(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut said = String::new();
    within("a greeting", stream.read_to_string(&mut said))
        .await
        .unwrap();
    said
}

/// The address of a shareable, from the server's own status.
async fn address(server: &Server, name: &str) -> SocketAddr {
    let status = server.status().await.unwrap();
    let found = status.shareables.iter().find(|one| one.name == name);
    let found = found.unwrap_or_else(|| panic!("no {name}: {status:?}"));
    found
        .address
        .split_whitespace()
        .last()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_socket_moves() {
    let name = format!("@baton-test-{}", std::process::id());
    let server = Server::example("sockets")
        .option("tcp", "tcp=127.0.0.1:0")
        .option("unix", "path=HOME/stream")
        .option("unix", format!("abstract={name}"))
        .option("datagram", "datagram=HOME/datagram")
        .option("seqpacket", "seqpacket=HOME/seqpacket")
        .start()
        .await;
    let tcp = address(&server, "tcp").await;
    let paths = ["stream", "datagram", "seqpacket"].map(|name| server.home().join(name));
    let [stream, datagram, seqpacket] = &paths;
    let own = unix::UnixDatagram::bind(server.home().join("own")).unwrap();
    for generation in 1..=3 {
        assert_eq!(greeting(tcp).await, format!("tcp {generation}\n"));
        assert_eq!(over(stream).await, format!("path {generation}\n"));
        let nameless = unix::SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let nameless = unix::UnixStream::connect_addr(&nameless).unwrap();
        nameless.set_nonblocking(true).unwrap();
        let mut nameless = UnixStream::from_std(nameless).unwrap();
        let mut said = String::new();
        within("a greeting", nameless.read_to_string(&mut said))
            .await
            .unwrap();
        assert_eq!(said, format!("abstract {generation}\n"));
        let heard = {
            let (own, to) = (own.try_clone().unwrap(), datagram.clone());
            tokio::task::spawn_blocking(move || {
                own.set_read_timeout(Some(crate::harness::PATIENCE))
                    .unwrap();
                own.send_to(b"hello", to).unwrap();
                let mut heard = [0; 64];
                let length = own.recv(&mut heard).unwrap();
                String::from_utf8_lossy(&heard[..length]).into_owned()
            })
        };
        assert_eq!(heard.await.unwrap(), format!("{generation} hello"));
        let whole = packet(seqpacket).await;
        assert_eq!(whole, format!("seqpacket {generation}\n"));
        if generation < 3 {
            let before = server.said(generation).await;
            server.upgrade().await.unwrap();
            gone(before.pid).await;
            // It is not the old one's to remove.
            assert!(paths.iter().all(|path| path.exists()));
        }
    }
    let last = server.said(3).await;
    signal(last.pid, Signal::TERM);
    gone(last.pid).await;
    assert!(
        paths.iter().all(|path| !path.exists()),
        "the last one removes them"
    );
}

async fn over(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let mut said = String::new();
    within("a greeting", stream.read_to_string(&mut said))
        .await
        .unwrap();
    said
}

async fn packet(path: &Path) -> String {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        connect(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        let mut heard = [0; 64];
        let (length, _) = recv(&socket, &mut heard[..], RecvFlags::empty()).unwrap();
        String::from_utf8_lossy(&heard[..length]).into_owned()
    });
    within("a packet", read).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_that_come_during_a_handover_are_answered() {
    let server = Server::example("sockets")
        .option("udp", "udp=127.0.0.1:0")
        .start()
        .await;
    let to = address(&server, "udp").await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(to).await.unwrap();
    let mut generations = BTreeSet::new();
    let mut number = 0_u32;
    for generation in 2..=4 {
        let mut upgrading = server.upgrading(UpgradeRequest::default());
        let mut sent = BTreeSet::new();
        // One after the other without a pause, until the handover is over; the socket's queue holds far more.
        while !upgrading.is_finished() {
            number += 1;
            socket.send(number.to_string().as_bytes()).await.unwrap();
            sent.insert(number);
            tokio::time::sleep(std::time::Duration::from_micros(300)).await;
        }
        (&mut upgrading).await.unwrap().unwrap();
        let mut buffer = [0; 64];
        while !sent.is_empty() {
            let length = within("an answer to each", socket.recv(&mut buffer))
                .await
                .unwrap();
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            let (by, number) = text.split_once(' ').unwrap();
            generations.insert(by.parse::<u64>().unwrap());
            assert!(
                sent.remove(&number.parse().unwrap()),
                "answered twice: {text}"
            );
        }
        assert_eq!(server.status().await.unwrap().generation, generation);
    }
    assert!(generations.len() > 1, "{generations:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_moves_with_all_its_members() {
    let server = Server::example("sockets")
        .option("group", "group=127.0.0.1:0")
        .start()
        .await;
    let at = address(&server, "group").await;
    let members = |status: &baton_handover::control::Generation| {
        let all = status.shareables.iter().map(|one| one.name.clone());
        all.filter(|name| name.starts_with("group"))
            .collect::<Vec<_>>()
    };
    let before = members(&server.status().await.unwrap());
    assert_eq!(before.len(), 4, "{before:?}");
    for generation in 2..=3 {
        server.upgrade().await.unwrap();
        assert_eq!(members(&server.status().await.unwrap()), before);
        // The kernel spreads connections over all four: each member has to be served.
        for _ in 0..32 {
            let said = greeting(at).await;
            assert!(said.starts_with("group"), "{said}");
            assert!(said.ends_with(&format!(" {generation}\n")), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_moves_with_its_offset_and_its_lock() {
    let server = Server::example("sockets")
        .option("file", "journal=HOME/journal")
        .start()
        .await;
    let path = server.home().join("journal");
    for generation in 1..=3 {
        let wanted = format!("generation {generation}\n");
        server
            .wait("a line of each generation", || {
                let text = std::fs::read_to_string(&path).ok()?;
                text.ends_with(&wanted).then_some(())
            })
            .await;
        let other = File::open(&path).unwrap();
        flock(&other, FlockOperation::NonBlockingLockShared).unwrap_err();
        if generation < 3 {
            let before = server.said(generation).await;
            server.upgrade().await.unwrap();
            gone(before.pid).await;
        }
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "generation 1\ngeneration 2\ngeneration 3\n");
    let last = server.said(3).await;
    signal(last.pid, Signal::TERM);
    gone(last.pid).await;
    flock(
        File::open(&path).unwrap(),
        FlockOperation::NonBlockingLockShared,
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_listeners_move() {
    let server = Server::example("sockets")
        .option("many", "many=300")
        .start()
        .await;
    let listed = |status: baton_handover::control::Generation| {
        let all = status
            .shareables
            .into_iter()
            .filter(|one| one.name != "main");
        all.map(|one| (one.name, one.address))
            .collect::<BTreeSet<_>>()
    };
    let before = listed(server.status().await.unwrap());
    assert_eq!(before.len(), 300);
    let first = server.said(1).await;
    server.upgrade().await.unwrap();
    gone(first.pid).await;
    assert_eq!(listed(server.status().await.unwrap()), before);
    for (name, address) in before {
        let address = address.split_whitespace().last().unwrap().parse().unwrap();
        assert_eq!(greeting(address).await, format!("{name} 2\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_successor_does_not_claim_is_closed_and_named() {
    let server = Server::example("sockets")
        .option("tcp", "admin=127.0.0.1:0")
        .start()
        .await;
    let admin = address(&server, "admin").await;
    let first = server.said(1).await;
    let request = server.request("", &["--leave", "admin"]);
    let report = server.upgrade_as(request).await.unwrap();
    assert_eq!(report.unclaimed, ["admin"]);
    server
        .logged(&["not claimed by this program", "name=\"admin\""])
        .await;
    gone(first.pid).await;
    server
        .wait("its end", || std::net::TcpStream::connect(admin).err())
        .await;
    assert_eq!(greeting(first.address).await, "main 2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_opened_behind_the_librarys_back_is_named() {
    let server = Server::example("sockets")
        .option("own", "meant=127.0.0.1:0")
        .option("stray", "mine=127.0.0.1:0")
        .start()
        .await;
    server
        .logged(&["opened without the handover library", "127.0.0.1:"])
        .await;
    let others = server.log();
    let named = others
        .matches("opened without the handover library")
        .count();
    assert_eq!(named, 1, "and nothing else is");
}
