//! Connections move between two registries of one process, which stand for predecessor and successor.

use std::os::fd::AsRawFd;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{Asked, Connection, Kind, Registry, Turn};
use crate::{Monotonic, Parcel};

const PATIENCE: Duration = Duration::from_secs(20);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

/// Whether the future has nothing to say at once.
async fn waits<T>(future: impl Future<Output = T>) -> bool {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// Echoes until the peer is done or the connection moves. A label counts the moves.
async fn echo(mut connection: Connection) {
    let moves = connection.label().first().copied().unwrap_or(0);
    let mut buffer = BytesMut::new();
    loop {
        match connection.turn(&mut buffer).await {
            Ok(Turn::Read(1..)) => {
                // not flushed: what the peer does not take now stays with the connection
                if connection.send(&buffer.split()).await.is_err() {
                    return;
                }
            }
            Ok(Turn::Asked(Asked::Move)) => {
                connection.push_back(buffer.freeze());
                return connection.give([moves.wrapping_add(1)]).expect("lets go");
            }
            Ok(Turn::Asked(Asked::Stay)) => {}
            Ok(Turn::Read(0) | Turn::Asked(Asked::Leave)) => {
                let _ = connection.shutdown().await;
                return;
            }
            Err(_) => return,
        }
    }
}

/// A generation that serves what is moved in.
fn generation() -> (Registry, Kind) {
    let registry = Registry::new();
    let kind = registry.kind("echo");
    let serving = kind.clone();
    tokio::spawn(async move {
        while let Some(parcel) = serving.next().await {
            let connection = Connection::resume(parcel, serving.seat()).expect("a stream");
            tokio::spawn(echo(connection));
        }
    });
    (registry, kind)
}

async fn handover(from: &Registry, to: &Registry) -> usize {
    from.freeze(&["echo"]);
    let parcels = from.gather(soon()).await;
    let count = parcels.len();
    to.admit(parcels);
    count
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (client, listener.accept().await.unwrap().0)
}

#[tokio::test]
async fn every_byte_is_echoed_once_while_connections_move_to_and_fro() {
    let generations = [generation(), generation()];
    let mut clients = JoinSet::new();
    for number in 0..40_usize {
        let kind = &generations[0].1;
        if number % 2 == 0 {
            let (client, server) = tcp_pair().await;
            tokio::spawn(echo(Connection::new(server, kind.seat())));
            clients.spawn(converse(client, number));
        } else {
            let (client, server) = UnixStream::pair().unwrap();
            tokio::spawn(echo(Connection::new(server, kind.seat())));
            clients.spawn(converse(client, number));
        }
    }
    let mut moved = 0;
    for round in 0..200 {
        let (from, to) = (&generations[round % 2].0, &generations[(round + 1) % 2].0);
        moved += handover(from, to).await;
        if round % 3 == 0 {
            // the predecessor of this handover takes them back
            to.freeze(&["echo"]);
            let back = to.gather(soon()).await;
            to.restore(back);
        }
        from.restore(Vec::new());
        tokio::task::yield_now().await;
    }
    assert!(moved > 1_000, "only {moved} moved");
    while let Some(done) = within(clients.join_next()).await {
        done.unwrap();
    }
    for (registry, _) in &generations {
        within(registry.empty()).await;
    }
}

async fn converse<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static>(
    stream: S,
    number: usize,
) {
    const LENGTH: usize = 300_000;
    let byte = move |place: usize| u8::try_from((place * 31 + place / 251 + number) % 256).unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        let bytes: Vec<u8> = (0..LENGTH).map(byte).collect();
        for chunk in bytes.chunks(1 + number * 37) {
            writer.write_all(chunk).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    };
    let reading = async {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).await.unwrap();
        assert_eq!(back.len(), LENGTH);
        assert!(
            back.iter()
                .enumerate()
                .all(|(place, found)| *found == byte(place))
        );
    };
    tokio::join!(writing, reading);
}

#[cfg(target_os = "linux")]
/// Whether an epoll set of this process holds the descriptor.
fn watched(number: i32) -> bool {
    let line = format!("tfd: {number:8} ");
    let sets = std::fs::read_dir("/proc/self/fdinfo").unwrap();
    let mut sets = sets.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok());
    sets.any(|set| set.contains(&line))
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_given_connection_is_left_alone_and_keeps_its_bytes() {
    let registry = Registry::new();
    let kind = registry.kind("echo");
    let (mut client, server) = tcp_pair().await;
    let mut connection = Connection::new(server, kind.seat());
    client.write_all(b"half a mess").await.unwrap();
    let mut buffer = BytesMut::new();
    assert_eq!(
        within(connection.turn(&mut buffer)).await.unwrap(),
        Turn::Read(11)
    );
    registry.freeze(&["echo"]);
    assert_eq!(
        within(connection.turn(&mut buffer)).await.unwrap(),
        Turn::Asked(Asked::Move)
    );
    connection.push_back(buffer.split_off(4).freeze());
    connection.push_back(buffer.split_off(2).freeze());
    connection.give("label").unwrap();
    let parcel = registry.gather(soon()).await.pop().expect("given");
    assert_eq!(parcel.unread, b"lf a mess");
    assert!(!watched(parcel.socket.as_raw_fd()));
    client.write_all(b"age").await.unwrap();
    // the bytes stay in the kernel: nobody reads
    let stream = std::net::TcpStream::from(parcel.socket.try_clone().unwrap());
    stream.set_nonblocking(false).unwrap();
    let mut peeked = [0; 16];
    assert_eq!(stream.peek(&mut peeked).unwrap(), 3);
    let number = parcel.socket.as_raw_fd();
    let mut resumed = Connection::resume(parcel, kind.seat()).unwrap();
    assert!(watched(number));
    assert_eq!(resumed.label(), b"label");
    let mut message = [0; 12];
    within(resumed.read_exact(&mut message)).await.unwrap();
    assert_eq!(&message, b"lf a message");
    drop(resumed);
    within(registry.empty()).await;
}

#[tokio::test]
async fn bytes_the_peer_does_not_take_move_along() {
    let registry = Registry::new();
    let kind = registry.kind("echo");
    let (mut client, server) = UnixStream::pair().unwrap();
    let mut connection = Connection::new(server, kind.seat());
    let message: Vec<u8> = (0..2_000_000_u32)
        .map(|place| (place % 251) as u8)
        .collect();
    within(connection.send(&message)).await.unwrap();
    assert!(!connection.is_flushed());
    // the next message is not accepted, and dropping the attempt leaves no part of it
    assert!(waits(connection.send(b"more")).await);
    registry.freeze(&["echo"]);
    connection.give(Vec::new()).unwrap();
    let parcel = registry.gather(soon()).await.pop().unwrap();
    assert!(!parcel.unsent.is_empty());
    let mut resumed = Connection::resume(parcel, kind.seat()).unwrap();
    let reading = tokio::spawn(async move {
        let mut back = Vec::new();
        client.read_to_end(&mut back).await.unwrap();
        back
    });
    within(resumed.shutdown()).await.unwrap();
    assert!(within(reading).await.unwrap() == message);
}

#[tokio::test]
async fn half_closed_reset_and_silent_peers_move() {
    let (old, new) = (generation(), generation());
    let mut clients = Vec::new();
    for _ in 0..3 {
        let (client, server) = tcp_pair().await;
        clients.push(client);
        tokio::spawn(echo(Connection::new(server, old.1.seat())));
    }
    let silent = clients.pop().unwrap();
    let (mut half, reset) = (clients.pop().unwrap(), clients.pop().unwrap());
    old.0.freeze(&["echo"]);
    let parcels = old.0.gather(soon()).await;
    assert_eq!(parcels.len(), 3);
    half.write_all(b"last words").await.unwrap();
    half.shutdown().await.unwrap();
    reset.set_zero_linger().unwrap();
    drop(reset);
    new.0.admit(parcels);
    let mut back = Vec::new();
    within(half.read_to_end(&mut back)).await.unwrap();
    assert_eq!(back, b"last words");
    // the silent one is all that is left
    within(async {
        while new.0.counts()["echo"].live != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(silent);
    within(new.0.empty()).await;
}

#[tokio::test]
async fn one_that_defers_holds_nobody_up_and_moves_late() {
    let registry = Registry::new();
    let kind = registry.kind("echo");
    let mut seats: Vec<_> = (0..3).map(|_| kind.seat()).collect();
    registry.freeze(&["echo"]);
    let mut late = seats.pop().unwrap();
    assert_eq!(within(late.asked()).await, Asked::Move);
    late.defer();
    late.defer();
    seats.pop().unwrap().give(parcel("echo"));
    assert_eq!(registry.counts()["echo"].asked, 1);
    drop(seats);
    assert_eq!(registry.gather(soon()).await.len(), 1);
    // asked once, not again and again
    assert!(waits(late.asked()).await);
    late.give(parcel("echo"));
    assert_eq!(within(registry.late()).await.expect("late").kind, "echo");
    assert!(within(registry.late()).await.is_none());
}

#[tokio::test]
async fn a_silent_seat_is_waited_for_no_longer_than_the_deadline() {
    let registry = Registry::new();
    let kind = registry.kind("echo");
    let silent = kind.seat();
    kind.seat().give(parcel("echo"));
    registry.freeze(&["echo"]);
    let gathered = within(registry.gather(Instant::now() + Duration::from_millis(5))).await;
    assert_eq!(gathered.len(), 1, "what waited to be served moves as well");
    silent.give(parcel("echo"));
    assert!(within(registry.late()).await.is_some());
}

#[tokio::test]
async fn a_roll_back_brings_everything_back_and_says_stay() {
    let registry = Registry::new();
    let kind = registry.kind("echo");
    let mut seats: Vec<_> = (0..4).map(|_| kind.seat()).collect();
    registry.freeze(&["echo"]);
    let (mut deferring, late) = (seats.pop().unwrap(), seats.pop().unwrap());
    assert_eq!(within(deferring.asked()).await, Asked::Move);
    deferring.defer();
    for seat in seats {
        seat.give(parcel("echo"));
    }
    let gathered = registry.gather(Instant::now()).await;
    late.give(parcel("echo"));
    registry.restore(gathered);
    assert_eq!(within(deferring.asked()).await, Asked::Stay);
    for _ in 0..3 {
        within(kind.next()).await.expect("come back");
    }
    // a second handover asks again, and one that gives after its roll-back comes back too
    registry.freeze(&["echo"]);
    assert_eq!(within(deferring.asked()).await, Asked::Move);
    registry.restore(Vec::new());
    deferring.give(parcel("echo"));
    assert!(within(kind.next()).await.is_some());
    registry.close();
    assert!(within(kind.next()).await.is_none());
}

#[tokio::test]
async fn kinds_are_asked_separately_and_unclaimed_ones_are_named() {
    let registry = Registry::new();
    let (chat, echo) = (registry.kind("chat"), registry.kind("echo"));
    let (mut talking, moving) = (chat.seat(), echo.seat());
    registry.freeze(&["echo"]);
    assert!(waits(talking.asked()).await);
    moving.give(parcel("echo"));
    assert_eq!(registry.gather(soon()).await.len(), 1);
    registry.admit(vec![parcel("old"), parcel("chat"), parcel("old")]);
    assert_eq!(registry.close_unclaimed(), [("old".to_owned(), 2)]);
    assert_eq!(registry.counts()["chat"].waiting, 1);
}

#[tokio::test(start_paused = true)]
async fn the_remaining_leave_spread_over_the_window() {
    let registry = Registry::new();
    let kind = registry.kind("echo");
    let begin = Instant::now();
    let mut leaving = JoinSet::new();
    for _ in 0..100 {
        let mut seat = kind.seat();
        leaving.spawn(async move {
            assert_eq!(seat.asked().await, Asked::Leave);
            begin.elapsed()
        });
    }
    registry.leave_all(Duration::from_secs(10));
    let mut moments = leaving.join_all().await;
    moments.sort();
    assert!(moments[99] > Duration::from_secs(9) && moments[99] < Duration::from_secs(11));
    let early = moments
        .iter()
        .filter(|moment| **moment < Duration::from_secs(5))
        .count();
    assert!(
        (45..=55).contains(&early),
        "{early} of 100 in the first half"
    );
    registry.empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_seats_answer_one_question() {
    let registry = Registry::new();
    let kind = registry.kind("echo");
    let mut tasks = JoinSet::new();
    for _ in 0..10_000 {
        let mut seat = kind.seat();
        tasks.spawn(async move {
            assert_eq!(seat.asked().await, Asked::Move);
            seat.defer();
        });
    }
    registry.freeze(&["echo"]);
    assert!(within(registry.gather(soon())).await.is_empty());
    tasks.join_all().await;
    within(registry.empty()).await;
}

fn parcel(kind: &str) -> Parcel {
    Parcel {
        kind: kind.to_owned(),
        socket: std::os::unix::net::UnixStream::pair().unwrap().0.into(),
        unread: Vec::new(),
        unsent: Vec::new(),
        label: Vec::new(),
        frozen: Monotonic::now(),
    }
}

#[tokio::test]
async fn only_streams_are_taken_up() {
    let registry = Registry::new();
    let kind = registry.kind("echo");
    let mut odd = parcel("echo");
    odd.socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into();
    let refusal = Connection::resume(odd, kind.seat())
        .unwrap_err()
        .to_string();
    assert!(
        refusal.contains("\"echo\"") && refusal.contains("type 2"),
        "{refusal}"
    );
    let mut odd = parcel("echo");
    odd.socket = std::fs::File::open("/dev/null").unwrap().into();
    assert!(Connection::resume(odd, kind.seat()).is_err());
    within(registry.empty()).await;
}

#[tokio::test]
async fn live_ones_are_counted_by_kind() {
    let registry = Registry::new();
    let (one, other) = (registry.kind("one"), registry.kind("other"));
    let seat = one.seat();
    let _second = one.seat();
    assert_eq!((one.live(), other.live()), (2, 0));
    drop(seat);
    assert_eq!(one.live(), 1);
}
