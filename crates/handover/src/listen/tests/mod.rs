//! The table with real sockets: a fresh one, and the one that inherits from it.

mod datagram;
mod scarcity;
mod tcp;
mod unix;

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::gate::{Flow, Keeper, gate};

const LOOPBACK: &str = "127.0.0.1:0";

fn any_port() -> SocketAddr {
    LOOPBACK.parse().expect("an address")
}

fn fresh() -> (Keeper, Shareables) {
    let (keeper, gate) = gate();
    (keeper, Shareables::new(gate))
}

/// A table that inherits all that `predecessor` offers, by duplicates, as descriptors arrive over a socket.
fn successor(predecessor: &Shareables) -> (Keeper, Shareables) {
    let (keeper, mut table) = fresh();
    for (listing, descriptor) in predecessor.offers().expect("described") {
        let bytes = postcard::to_stdvec(&listing).expect("encoded");
        let listing = postcard::from_bytes(&bytes).expect("decoded");
        let descriptor = descriptor.try_clone_to_owned().expect("a duplicate");
        table.inherit(listing, descriptor).expect("taken in");
    }
    (keeper, table)
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what)
        .await
        .expect("within ten seconds")
}

fn names(unclaimed: &[Unclaimed]) -> Vec<&str> {
    unclaimed.iter().map(|it| it.name.as_str()).collect()
}

/// Asks until it is so, for ten seconds.
fn eventually(complaint: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "{complaint}");
        std::thread::yield_now();
    }
}
