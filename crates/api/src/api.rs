//! The API of one namespace.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{namespace::Namespace, parts::Parts, settings::ApiSettings, websocket};

/// How long WebSockets and requests may take to let go of the parts.
const LET_GO: Duration = Duration::from_secs(3);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(1);

/// The API of one namespace. Cheap to clone; all clones are the same API.
///
/// It is a service (of tower's kind) that never fails: serve it, mount it in a router, or put it into a [`Site`](crate::Site) with
/// others.
#[derive(Clone)]
pub struct Api {
    pub(crate) namespace: Arc<Namespace>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("network_id", &self.namespace.parts.network_id)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// The API over these parts.
    pub fn new(settings: ApiSettings, parts: Parts) -> Self {
        Self {
            namespace: Arc::new(Namespace::new(settings, parts)),
        }
    }

    /// The API as a router, to be merged with others.
    pub fn router(&self) -> axum::Router {
        axum::Router::new().fallback_service(self.clone())
    }

    /// Does what goes on without requests, until [`Self::close`]: tells WebSockets what happens, and serves those that a predecessor
    /// moved in. To be run in a task of its own.
    pub async fn run(&self) {
        websocket::run(&self.namespace).await;
    }

    /// How many requests are being answered.
    pub fn in_hand(&self) -> usize {
        self.namespace.gate.in_hand()
    }

    /// Has all WebSockets packed up for another process, and takes no more. When it returns nothing but this, if it is the
    /// last of its clones, has the parts that it was made of; false if somebody did not let go of them in time.
    pub async fn retire(&self) -> bool {
        self.namespace.sockets.retire();
        let deadline = Instant::now() + LET_GO;
        while Arc::strong_count(&self.namespace) > 1 {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    /// Closes all WebSockets, with a close frame, and takes no more. Returns when they are gone or have had their time.
    pub async fn close(&self) {
        self.namespace.sockets.close().await;
    }
}
