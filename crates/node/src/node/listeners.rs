//! What the node listens at for clients. Claimed by name before the stores are opened, so that another generation can
//! pass them on while it still has those.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use baton_handover::{Handover, HandoverError, Listener};
use tracing::warn;

use crate::settings::Settings;

/// The name of the API's listener and connections in a handover.
pub(super) const API: &str = "api";

/// The listeners.
pub(super) struct Listeners {
    pub(super) api: Listener,
    /// Where the API listens, also if the kernel chose the port.
    pub(super) address: SocketAddr,
    pub(super) rpc: Option<Listener>,
    pub(super) metrics: Option<Listener>,
    /// Where a supervisor asks.
    pub(super) contract: Option<Listener>,
}

/// A listener that cannot be had. (bytomd's text, with the setting.)
#[derive(Debug, thiserror::Error)]
#[error("Failed to register tcp port: listen tcp {address}: {why} ({key}){remedy}")]
pub struct ListenError {
    key: &'static str,
    address: SocketAddr,
    why: String,
    /// What to do, after a semicolon; or nothing.
    remedy: &'static str,
}

impl Listeners {
    pub(super) async fn claim(
        handover: &mut Handover,
        settings: &Settings,
        directory: &Path,
    ) -> Result<Self, ListenError> {
        let api = claim(handover, API, "api_addr", settings.api_addr).await?;
        let rpc = match settings.rpc_addr {
            Some(address) => Some(claim(handover, "rpc", "rpc.laddr", address).await?),
            None => None,
        };
        let metrics = match settings.metrics_addr {
            Some(address) => Some(claim(handover, "metrics", "prof_laddr", address).await?),
            None => None,
        };
        let contract = contract(handover, &directory.join("node.sock")).await;
        let address = api.local_addr().unwrap_or(settings.api_addr);
        Ok(Self {
            api,
            address,
            rpc,
            metrics,
            contract,
        })
    }
}

async fn claim(
    handover: &mut Handover,
    name: &str,
    key: &'static str,
    address: SocketAddr,
) -> Result<Listener, ListenError> {
    handover.tcp(name, address).await.map_err(|error| {
        let (why, remedy) = why(&error);
        ListenError {
            key,
            address,
            why,
            remedy,
        }
    })
}

/// A node is one without it too: it is only stopped for an upgrade then.
async fn contract(handover: &mut Handover, path: &Path) -> Option<Listener> {
    let listener = handover.unix("node", path).await;
    listener
        .inspect_err(|error| {
            let (why, _) = why(error);
            warn!(path = %path.display(), why, "a supervisor cannot ask this node for snapshots");
        })
        .ok()
}

/// The deepest cause, in Go's words where bytomd's users know them, and what to do.
fn why(error: &HandoverError) -> (String, &'static str) {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    match deepest.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::AddrInUse) => (
            "bind: address already in use".to_owned(),
            "; what listens there tells `ss -ltnp`",
        ),
        Some(io::ErrorKind::AddrNotAvailable) => (
            "bind: cannot assign requested address".to_owned(),
            "; this machine's addresses tells `ip address`",
        ),
        Some(io::ErrorKind::PermissionDenied) => (
            "bind: permission denied".to_owned(),
            "; ports below 1024 are for root, or who has CAP_NET_BIND_SERVICE",
        ),
        _ => (deepest.to_string(), ""),
    }
}
