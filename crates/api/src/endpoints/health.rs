//! Whether the node runs, whether it can be sent work, and its figures.

use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::{
    go_json,
    namespace::Namespace,
    parts::{Phase, Progress},
    serve::{Body, metrics::Now, response},
};

const KIND: HeaderValue = HeaderValue::from_static("application/json");

/// Whether the node runs: it answers.
pub(crate) fn healthz(namespace: &Namespace) -> Response<Body> {
    #[derive(Serialize)]
    struct Alive {
        status: &'static str,
        phase: Phase,
    }
    let alive = Alive {
        status: "ok",
        phase: namespace.parts.health.borrow().phase,
    };
    response::plain(StatusCode::OK, KIND, line(&alive))
}

/// What a node must be ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// Questions, and transactions that come into blocks.
    Work,
    /// Questions only.
    Reads,
}

/// Whether the node can be sent work, or questions; status 503 if not. The reasons why it cannot be sent work are told in
/// any case.
pub(crate) fn readyz(namespace: &Namespace, wanted: For) -> Response<Body> {
    #[derive(Serialize)]
    struct Readiness<'n> {
        ready: bool,
        phase: Phase,
        chain: Progress,
        troubles: &'n [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        halted_at: Option<u64>,
        height: u64,
        highest_height: u64,
    }
    let now = now(namespace);
    let health = namespace.parts.health.borrow();
    let ready = Readiness {
        ready: health.is_ready(),
        phase: health.phase,
        chain: health.chain,
        troubles: &health.troubles,
        halted_at: health.halted_at,
        height: now.height,
        highest_height: now.highest_height,
    };
    let good = match wanted {
        For::Work => health.is_ready(),
        For::Reads => health.is_readable(),
    };
    let status = if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    response::plain(status, KIND, line(&ready))
}

/// The figures, for Prometheus.
pub(crate) fn figures(namespace: &Namespace) -> String {
    let mut now = now(namespace);
    let pool = namespace.parts.pool.stats();
    (now.pool_transactions, now.pool_bytes) = (pool.transactions, pool.bytes);
    if let Some(wallet) = &namespace.parts.wallet
        && let Ok(Some(best)) = wallet.best()
    {
        now.wallet_height = Some(best.height);
    }
    let others = namespace.parts.figures.as_ref();
    let others = others.map(|figures| figures.figures());
    namespace.metrics.text(now, &others.unwrap_or_default())
}

/// What costs nothing to know.
fn now(namespace: &Namespace) -> Now {
    let parts = &namespace.parts;
    let height = parts.chain.tip().height;
    let standing = parts.peers.standing();
    Now {
        height,
        highest_height: height.max(standing.highest_height),
        peers: standing.peers,
        mining: parts.mining.is_on(),
        ready: parts.health.borrow().is_ready(),
        in_hand: namespace.gate.in_hand(),
        ..Now::default()
    }
}

fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut line = go_json::to_vec(value);
    line.push(b'\n');
    line
}
