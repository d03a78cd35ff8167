//! Peers on the local network, by multicast DNS.

mod common;

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use common::{eventually, start};

/// Whether this machine hears its own multicast: some containers have no network at all.
fn multicast_works() -> bool {
    let group = Ipv4Addr::new(239, 255, 77, 77);
    let probe = || -> std::io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.send_to(b"?", (group, socket.local_addr()?.port()))?;
        socket.recv(&mut [0; 1]).map(|_| ())
    };
    probe().is_ok()
}

#[tokio::test]
async fn nodes_of_one_chain_find_each_other_without_seeds_and_others_do_not() {
    if !multicast_works() {
        eprintln!("skipped: no multicast here");
        return;
    }
    // a chain of its own: other tests may be heard
    let chain = format!("lan-{}", std::process::id());
    let near = |settings: &mut baton_network::Settings| {
        settings.lan_discoverable = true;
        // loopback is announced to nobody
        settings.listen = Some((Ipv4Addr::UNSPECIFIED, 0).into());
        settings.chain.clone_from(&chain);
    };
    let mut a = start(101, near).await;
    let stranger = start(103, |settings| {
        near(settings);
        settings.chain.push('x');
    })
    .await;
    let b = start(102, near).await;
    a.connected(b.id()).await;
    eventually("the stranger was met and refused", async || {
        stranger.network.counters().refused + a.network.counters().refused > 0
    })
    .await;
    assert_eq!(stranger.network.peer_count(), 0);
    assert_eq!(a.network.peer_count(), 1);
}
