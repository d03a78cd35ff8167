//! Peers and the wallet's follower as the API sees them.

use std::net::SocketAddr;
use std::time::Duration;

use baton_api::{Later, Peers, Standing};
use baton_chain::Chain;
use baton_consensus::{Engine, Outlook, Status};
use baton_network::{DialError, Network, PeerAddress, PeerInfo, identity};
use tokio::sync::watch;

use crate::follow::Rescanner;
use crate::settings::Settings;

/// Peers, and how far they are.
pub(super) struct Neighbours {
    network: Network,
    consensus: watch::Receiver<Status>,
    outlook: Outlook,
    chain: Chain,
    vault: bool,
}

impl Neighbours {
    pub(super) fn new(
        network: &Network,
        engine: &Engine,
        chain: &Chain,
        settings: &Settings,
    ) -> Self {
        Self {
            network: network.clone(),
            consensus: engine.watch(),
            outlook: engine.outlook(),
            chain: chain.clone(),
            vault: settings.vault_mode,
        }
    }

    fn told(&self, peer: &PeerInfo) -> baton_api::PeerInfo {
        let traffic = &peer.traffic;
        let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        baton_api::PeerInfo {
            peer_id: peer.key_hex(),
            moniker: peer.moniker.clone(),
            remote_addr: peer.address.clone().without_peer().to_string(),
            height: self.outlook.height_of(&peer.peer).unwrap_or(0),
            ping: peer.ping.map(spelled).unwrap_or_default(),
            duration: spelled(peer.duration),
            total_sent: number(traffic.sent),
            total_received: number(traffic.received),
            average_sent_rate: number(traffic.average_sent),
            average_received_rate: number(traffic.average_received),
            current_sent_rate: number(traffic.current_sent),
            current_received_rate: number(traffic.current_received),
        }
    }
}

impl Peers for Neighbours {
    fn standing(&self) -> Standing {
        let status = self.consensus.borrow();
        Standing {
            listening: !self.vault && !self.network.listen_addresses().is_empty(),
            syncing: status.syncing,
            peers: self.network.peer_count(),
            highest_height: status.peer_height.max(self.chain.tip().height),
        }
    }

    fn list(&self) -> Later<'_, Vec<baton_api::PeerInfo>> {
        Box::pin(async move {
            let peers = self.network.peers().await;
            peers.iter().map(|peer| self.told(peer)).collect()
        })
    }

    fn connect(&self, address: SocketAddr) -> Later<'_, Result<baton_api::PeerInfo, String>> {
        Box::pin(async move {
            match self.network.dial(PeerAddress::from_socket(address)).await {
                Ok(peer) => Ok(self.told(&peer)),
                Err(error) => Err(refused(&error)),
            }
        })
    }

    fn disconnect<'a>(&'a self, peer_id: &'a str) -> Later<'a, bool> {
        Box::pin(async move {
            match identity::peer_from_hex(peer_id) {
                Some(peer) => self.network.disconnect(peer).await.is_ok(),
                None => false,
            }
        })
    }
}

fn refused(error: &DialError) -> String {
    error.to_string()
}

/// A duration as Go spells it: `2m3.5s`, `1.5ms`.
fn spelled(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 {
        let nanos = duration.subsec_nanos();
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => format!("{}µs", f64::from(nanos) / 1e3),
            _ => format!("{}ms", f64::from(nanos) / 1e6),
        };
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = Duration::new(seconds % 60, duration.subsec_nanos()).as_secs_f64();
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// The wallet's follower; without a wallet there is none.
pub(super) struct Rescan(pub(super) Option<Rescanner>);

impl baton_api::Rescan for Rescan {
    fn from(&self, height: u64) -> Result<(), String> {
        match &self.0 {
            Some(rescanner) => rescanner.from(height),
            None => Err("wallet not found, please check that the wallet is open".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelled_as_in_go() {
        for (duration, wanted) in [
            (Duration::ZERO, "0s"),
            (Duration::from_nanos(7), "7ns"),
            (Duration::from_nanos(1_500), "1.5µs"),
            (Duration::from_millis(100), "100ms"),
            (Duration::from_millis(2_020), "2.02s"),
            (Duration::from_millis(123_500), "2m3.5s"),
            (Duration::from_hours(1), "1h0m0s"),
        ] {
            assert_eq!(spelled(duration), wanted);
        }
    }
}
