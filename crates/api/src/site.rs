//! All namespaces of a node behind one address.

use std::{
    any::Any,
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{HeaderValue, Request, Response, StatusCode};
use baton_handover::{
    Listener, Serving,
    connections::{Connection, Kind},
    http::{Arrivals, HttpSettings},
};
use bytes::Bytes;
use hyper::body::Body as HttpBody;
use tokio::time::timeout;
use tower_service::Service;

use crate::{
    api::Api,
    fault::Fault,
    parts::Later,
    serve::{Body, response},
};

/// The namespace whose API is at the root.
pub const GLOBAL: &str = "global";

/// How long a request waits for the namespaces while a handover has them closed.
const WAIT: Duration = Duration::from_mins(1);

/// Lets a request in for as long as the value lives; `None` once another process has the namespaces. It may wait while
/// nobody has them.
pub type Door = Arc<dyn Fn() -> Later<'static, Option<Box<dyn Any + Send>>> + Send + Sync>;

/// The APIs of a node: that of `global` at the root, those of the others at `/ns/<name>/`. Cheap to clone; all clones are the same.
///
/// Namespaces come and go while it is served. Requests go through its [`Door`], so that none is lost while a handover
/// has the namespaces closed.
#[derive(Clone, Default)]
pub struct Site {
    mounted: Arc<RwLock<Mounted>>,
    door: Option<Door>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site")
            .field("mounted", &self.mounted)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Mounted {
    global: Option<Api>,
    others: HashMap<String, Api>,
}

impl Site {
    /// A site without namespaces.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same site with a door before it.
    #[must_use]
    pub fn behind(&self, door: Door) -> Self {
        Self {
            mounted: self.mounted.clone(),
            door: Some(door),
        }
    }

    /// From now on the namespace's requests go to this API.
    pub fn mount(&self, namespace: &str, api: Api) {
        let mut mounted = self.mounted.write().unwrap_or_else(PoisonError::into_inner);
        if namespace == GLOBAL {
            mounted.global = Some(api);
        } else {
            mounted.others.insert(namespace.to_owned(), api);
        }
    }

    /// From now on the namespace is not there; requests in hand are finished.
    pub fn unmount(&self, namespace: &str) {
        let mut mounted = self.mounted.write().unwrap_or_else(PoisonError::into_inner);
        if namespace == GLOBAL {
            mounted.global = None;
        } else {
            mounted.others.remove(namespace);
        }
    }

    /// Serves the site on a listener until this process has handed over or stops, with no more than so many connections.
    pub async fn serve(
        &self,
        serving: &Serving,
        listener: Listener,
        connections: usize,
    ) -> baton_handover::Ending {
        let kind = listener.kind().clone();
        let settings = HttpSettings {
            // bytomd has HTTP/1.1 only, and its connections can be moved
            http2: false,
            ..HttpSettings::default()
        };
        let arrivals = Bounded {
            listener,
            kind: kind.clone(),
            most: connections,
        };
        baton_handover::http::serve(&kind, arrivals, self.clone(), &settings).await;
        serving.ended().await
    }

    /// The API that a path belongs to, and how long its prefix is.
    fn find(&self, path: &str) -> Result<(Api, usize), Fault> {
        let mounted = self.mounted.read().unwrap_or_else(PoisonError::into_inner);
        let Some(rest) = path.strip_prefix("/ns/") else {
            return Ok((mounted.global.clone().ok_or_else(Fault::starting)?, 0));
        };
        let name = rest.split('/').next().unwrap_or_default();
        let api = mounted.others.get(name).cloned();
        let skip = "/ns/".len() + name.len();
        match api {
            Some(api) if path.len() > skip => Ok((api, skip)),
            _ => Err(Fault::not_found()),
        }
    }
}

impl<B> Service<Request<B>> for Site
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let site = self.clone();
        Box::pin(async move {
            // who looks whether the process lives does not wait
            let door = site
                .door
                .as_ref()
                .filter(|_| request.uri().path() != "/healthz");
            let held = match door {
                Some(door) => timeout(WAIT, door()).await.unwrap_or_default(),
                None => Some(Box::new(()) as Box<dyn Any + Send>),
            };
            let Some(_held) = held else {
                return Ok(absent(&request, Fault::moved()));
            };
            Ok(match site.find(request.uri().path()) {
                Ok((api, skip)) => api.answer(request, skip).await,
                Err(fault) => absent(&request, fault),
            })
        })
    }
}

/// What is answered when there is no namespace to answer.
fn absent<B>(request: &Request<B>, fault: Fault) -> Response<Body> {
    let mut response = match request.uri().path() {
        // the process is there, but cannot be sent work
        "/healthz" => response::plain(
            StatusCode::OK,
            HeaderValue::from_static("application/json"),
            &b"{\"status\":\"ok\",\"phase\":\"starting\"}\n"[..],
        ),
        _ => response::of(Err(fault)),
    };
    response::guard(response.headers_mut());
    response
}

/// Closes new connections while there are as many as there may be.
struct Bounded {
    listener: Listener,
    kind: Kind,
    most: usize,
}

impl Arrivals for Bounded {
    async fn next(&mut self) -> Option<Connection> {
        loop {
            let connection = self.listener.next().await?;
            if self.kind.live() <= self.most {
                return Some(connection);
            }
            tracing::warn!(
                limit = self.most,
                peer = connection.peer().map(tracing::field::display),
                "closing a new connection: there are as many as there may be"
            );
        }
    }
}
