//! One namespace as its endpoints see it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use axum::http::HeaderValue;
use baton_wallet::{Wallet, keystore::KeyStore};
use bytes::Bytes;

use crate::{
    fault::Fault,
    parts::Parts,
    reply::Answer,
    serve::{
        cache::Cache,
        gate::Gate,
        lanes::{Lanes, awaited},
        metrics::Metrics,
    },
    settings::ApiSettings,
    table::{Fresh, Run, Table},
    websocket::Sockets,
};

/// The parts of a namespace, and what its API keeps for itself.
pub(crate) struct Namespace {
    pub(crate) settings: ApiSettings,
    pub(crate) parts: Parts,
    pub(crate) gate: Arc<Gate>,
    pub(crate) lanes: Lanes,
    pub(crate) cache: Cache,
    pub(crate) metrics: Metrics,
    pub(crate) sockets: Sockets,
    /// What ids of requests begin with, so that those of two runs differ.
    request_prefix: u32,
    requests: AtomicU64,
}

impl Namespace {
    pub(crate) fn new(settings: ApiSettings, parts: Parts) -> Self {
        let limits = settings.limits;
        let mut prefix = [0; 4];
        // an id that is not unique is a nuisance and no more
        let _ = getrandom::fill(&mut prefix);
        Self {
            gate: Arc::new(Gate::new(limits.requests, limits.requests_per_client)),
            lanes: Lanes::new(limits.response),
            cache: Cache::new(limits.cache_bytes),
            metrics: Metrics::new(),
            sockets: Sockets::new(settings.websockets),
            request_prefix: u32::from_ne_bytes(prefix),
            requests: AtomicU64::new(0),
            settings,
            parts,
        }
    }

    /// A name for a request, for the log and whoever asks about it.
    pub(crate) fn request_id(&self) -> HeaderValue {
        let number = self.requests.fetch_add(1, Relaxed);
        let id = format!("{:08x}-{number:x}", self.request_prefix);
        HeaderValue::try_from(id).expect("hexadecimal")
    }

    /// The wallet. Only endpoints of the wallet's group need it, and those that bytomd crashes without it.
    pub(crate) fn wallet(&self) -> Result<&Arc<Wallet>, Fault> {
        self.parts.wallet.as_ref().ok_or_else(no_wallet)
    }

    /// The keys.
    pub(crate) fn keys(&self) -> Result<&Arc<KeyStore>, Fault> {
        self.parts.keys.as_ref().ok_or_else(no_wallet)
    }

    /// What an answer of this freshness is made from, as long as it is the same; none if it never holds.
    fn stamp(&self, fresh: Fresh) -> Option<u64> {
        match fresh {
            Fresh::Never => None,
            Fresh::Always => Some(0),
            Fresh::Wallet => Some(self.parts.wallet.as_ref()?.generation()),
        }
    }

    /// Answers an endpoint of the table.
    pub(crate) async fn answer(self: &Arc<Self>, index: usize, body: Bytes) -> Answer {
        let endpoint = &Table::get().endpoints[index];
        let stamp = self.stamp(endpoint.fresh);
        if let Some(stamp) = stamp
            && let Some(known) = self.cache.get(index, &body, stamp)
        {
            self.metrics.cached.inc();
            return Ok(crate::reply::Reply(known));
        }
        let answer = match &endpoint.run {
            Run::Sync(_) => {
                let namespace = Arc::clone(self);
                let request = body.clone();
                let work = move || match &Table::get().endpoints[index].run {
                    Run::Sync(run) => run(&namespace, &request),
                    Run::Async(_) => unreachable!("it was another one just now"),
                };
                self.lanes.run(endpoint.lane, work).await
            }
            Run::Async(run) => {
                awaited(self.settings.limits.response, run(self, body.to_vec())).await
            }
        };
        if let (Some(stamp), Ok(reply)) = (stamp, &answer) {
            self.cache.put(index, &body, stamp, &reply.0);
        }
        answer
    }
}

fn no_wallet() -> Fault {
    Fault::plain("wallet not found, please check that the wallet is open")
}
