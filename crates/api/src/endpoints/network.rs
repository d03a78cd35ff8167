//! The node among its peers, and whether it makes blocks.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::{
    fault::Fault,
    namespace::Namespace,
    parts::Later,
    reply::{Answer, Reply},
    request::{Ignored, request},
    table::{Endpoint, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::always("net-info", Lane::Here, net_info)
            .doc("What the node knows of itself and its peers."),
        Endpoint::waiting("list-peers", list_peers).doc("The peers this node is connected to."),
        Endpoint::waiting("connect-peer", connect_peer)
            .doc("Connects to a peer.")
            .example(r#"{"ip":"192.0.2.7","port":46657}"#),
        Endpoint::waiting("disconnect-peer", disconnect_peer)
            .doc("Disconnects a peer.")
            .example(r#"{"peer_id":"12D3KooWExample"}"#),
        Endpoint::always("is-mining", Lane::Here, is_mining)
            .doc("Whether the node proposes blocks."),
        Endpoint::always("set-mining", Lane::Write, set_mining)
            .doc("Makes the node propose blocks or not. It needs an address to be paid at.")
            .example(r#"{"is_mining":true}"#),
        Endpoint::always("gas-rate", Lane::Here, gas_rate).doc("The price of gas, in neu."),
    ]
}

#[derive(Serialize)]
struct NetInfo<'n> {
    listening: bool,
    syncing: bool,
    mining: bool,
    node_xpub: String,
    peer_count: usize,
    highest_height: u64,
    network_id: &'n str,
    version_info: VersionInfo<'n>,
}

/// bytomd learns of other versions from its seeds; ours are the supervisor's business.
#[derive(Serialize)]
struct VersionInfo<'n> {
    version: &'n str,
    update: u16,
    new_version: &'n str,
}

fn net_info(namespace: &Namespace, _: Ignored) -> Answer {
    let parts = &namespace.parts;
    let standing = parts.peers.standing();
    Ok(Reply::of(&NetInfo {
        listening: standing.listening,
        syncing: standing.syncing,
        mining: parts.mining.is_on(),
        node_xpub: hex::encode(parts.node_xpub),
        peer_count: standing.peers,
        highest_height: standing.highest_height.max(parts.chain.tip().height),
        network_id: &parts.network_id,
        version_info: VersionInfo {
            version: &parts.version,
            update: 0,
            new_version: &parts.version,
        },
    }))
}

fn list_peers(namespace: &Namespace, _: Ignored) -> Later<'_, Answer> {
    Box::pin(async { Ok(Reply::of(&namespace.parts.peers.list().await)) })
}

request! {
    /// Where a peer is.
    ConnectPeer {
        ip: String => "the peer's address",
        port: u16 => "the peer's port",
    }
}

fn connect_peer(namespace: &Namespace, request: ConnectPeer) -> Later<'_, Answer> {
    Box::pin(async move {
        let ip: IpAddr = request
            .ip
            .parse()
            .map_err(|_| Fault::plain("invalid ip address"))?;
        let address = SocketAddr::new(ip, request.port);
        match namespace.parts.peers.connect(address).await {
            Ok(peer) => Ok(Reply::of(&peer)),
            Err(reason) => Err(Fault::plain(format!(
                "can not connect to the address: {reason}"
            ))),
        }
    })
}

request! {
    /// Which peer.
    DisconnectPeer {
        peer_id: String => "the peer's id, as list-peers tells it",
    }
}

fn disconnect_peer(namespace: &Namespace, request: DisconnectPeer) -> Later<'_, Answer> {
    Box::pin(async move {
        if namespace.parts.peers.disconnect(&request.peer_id).await {
            Ok(Reply::none())
        } else {
            Err(Fault::plain("peerId not exist"))
        }
    })
}

fn is_mining(namespace: &Namespace, _: Ignored) -> Answer {
    #[derive(Serialize)]
    struct IsMining {
        is_mining: bool,
    }
    Ok(Reply::of(&IsMining {
        is_mining: namespace.parts.mining.is_on(),
    }))
}

request! {
    /// Whether to propose.
    SetMining {
        is_mining: bool => "whether to propose blocks",
    }
}

fn set_mining(namespace: &Namespace, request: SetMining) -> Answer {
    let program = if request.is_mining {
        let program = namespace.wallet()?.mining_program()?;
        Some(program.ok_or_else(|| Fault::plain("Mining address does not exist"))?)
    } else {
        None
    };
    let mining = &namespace.parts.mining;
    mining
        .set(request.is_mining, program)
        .map_err(Fault::plain)?;
    Ok(Reply::of(""))
}

fn gas_rate(namespace: &Namespace, _: Ignored) -> Answer {
    #[derive(Serialize)]
    struct GasRate {
        gas_rate: u64,
    }
    Ok(Reply::of(&GasRate {
        gas_rate: namespace.parts.chain.params().gas_price_neu,
    }))
}
