//! UDP clients: numbered datagrams that are to come back.
//!
//! UDP may lose a datagram at any time, so one that does not come back is counted as missing and not as a failure.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::Moment;
use super::client::Client;
use super::http::generation;
use super::random::Pattern;
use super::tally::Fault;

/// A datagram is filled up with one to so many bytes.
const MAX_FILL: usize = 1000;

pub(super) async fn run(mut client: Client) {
    let socket = match open(client.group().target).await {
        Ok(socket) => socket,
        Err(e) => {
            client
                .tally()
                .own(client.number, format!("opening a UDP socket: {e}"));
            return;
        }
    };
    client.tally().connections += 1;
    let mut number = 0_u64;
    loop {
        let thought = client.thought();
        if !client.pause(thought).await {
            return;
        }
        client.asks();
        number += 1;
        let datagram = datagram(&mut client, number);
        let began = Moment::now();
        let deadline = Instant::now() + client.group().patience;
        if let Err(e) = socket.send(&datagram).await {
            client.fault(Fault::Refused, 1, format!("sending: {e}"));
            continue;
        }
        await_answer(&mut client, &socket, &datagram, began, deadline).await;
    }
}

async fn await_answer(
    client: &mut Client,
    socket: &UdpSocket,
    sent: &[u8],
    began: Moment,
    deadline: Instant,
) {
    let mut buffer = [0; 4096];
    loop {
        let count = match timeout_at(deadline, socket.recv(&mut buffer)).await {
            Ok(Ok(count)) => count,
            Ok(Err(e)) => {
                client.fault(Fault::Refused, 1, format!("receiving: {e}"));
                return;
            }
            Err(_) => {
                client.tally().missing += 1;
                return;
            }
        };
        let came = &buffer[..count];
        if let Some(at) = came.windows(sent.len()).position(|part| part == sent) {
            client.answered(Some(began), sent.len() as u64);
            // Some say it in words, some with a number in front.
            let front = &came[..at];
            let bare = std::str::from_utf8(front)
                .ok()
                .and_then(|front| front.trim().parse().ok());
            if let Some(generation) = generation(front).or(bare) {
                client.tally().saw(generation);
            }
            return;
        }
        // Another number: an answer that came after the client had given it up, or came twice.
        if mark(came) == mark(sent) {
            let wrong = differing(sent, &came[came.len().saturating_sub(sent.len())..]);
            client.tally().wrong_bytes += wrong;
            client.fault(Fault::Wrong, 1, "a datagram came back changed");
            return;
        }
        client.tally().repeated += 1;
    }
}

/// What stands between the first `<` and the next `>`: who sent a datagram, and its number.
fn mark(bytes: &[u8]) -> Option<&[u8]> {
    let inner = &bytes[bytes.iter().position(|byte| *byte == b'<')? + 1..];
    Some(&inner[..inner.iter().position(|byte| *byte == b'>')?])
}

/// How many bytes differ.
fn differing(sent: &[u8], came: &[u8]) -> u64 {
    let pairs = (0..sent.len().max(came.len())).map(|i| (sent.get(i), came.get(i)));
    pairs.filter(|(sent, came)| sent != came).count() as u64
}

fn datagram(client: &mut Client, number: u64) -> Vec<u8> {
    let mut bytes = format!("<{}.{number}>", client.number).into_bytes();
    let fill = client.random.between(1, MAX_FILL);
    Pattern::new(number).write(&mut bytes, fill);
    bytes
}

async fn open(target: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(target).await?;
    Ok(socket)
}
