//! All namespaces of a node behind one address.

use std::{
    any::Any,
    collections::HashMap,
    convert::Infallible,
    pin::{Pin, pin},
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{HeaderValue, Request, Response, StatusCode, request::Parts};
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
    serve::{Body, body::receive, response},
};

/// The namespace whose API is at the root.
pub const GLOBAL: &str = "global";

/// How long a request waits for the namespaces while a handover has them closed.
const WAIT: Duration = Duration::from_mins(1);

/// How long a request's body may come in while the request is within the namespaces: a handover waits for it.
const SOON: Duration = Duration::from_millis(250);

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
            let (parts, body) = request.into_parts();
            Ok(site.answer(parts, body).await)
        })
    }
}

impl Site {
    async fn answer<B>(&self, parts: Parts, body: B) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let entered = match self.enter(&parts).await {
            Ok(entered) => entered,
            Err(fault) => return absent(&parts, fault),
        };
        if body.is_end_stream() {
            return entered.answer(parts, Ok(Bytes::new())).await;
        }
        let mut receiving = pin!(receive(body, entered.api.admit(&parts, entered.skip)));
        if let Ok(body) = timeout(SOON, receiving.as_mut()).await {
            return entered.answer(parts, body).await;
        }
        // Nobody waits in the namespaces for a client that takes its time.
        drop(entered);
        let body = receiving.await;
        match self.enter(&parts).await {
            Ok(entered) => entered.answer(parts, body).await,
            Err(fault) => absent(&parts, fault),
        }
    }

    /// Goes to the API that a request is for; it may wait for a handover.
    async fn enter(&self, parts: &Parts) -> Result<Entered, Fault> {
        let path = parts.uri.path();
        // who looks whether the process lives does not wait
        let door = self.door.as_ref().filter(|_| path != "/healthz");
        let held = match door {
            Some(door) => timeout(WAIT, door()).await.unwrap_or_default(),
            None => Some(Box::new(()) as Box<dyn Any + Send>),
        };
        let held = held.ok_or_else(Fault::moved)?;
        let (api, skip) = self.find(path)?;
        Ok(Entered {
            api,
            skip,
            _held: held,
        })
    }
}

/// A request within the namespaces, which are not closed before it is answered.
struct Entered {
    api: Api,
    /// How much of the path is the namespace's prefix.
    skip: usize,
    /// Dropped after the API.
    _held: Box<dyn Any + Send>,
}

impl Entered {
    async fn answer(self, parts: Parts, body: Result<Bytes, Fault>) -> Response<Body> {
        self.api.answer(parts, body, self.skip).await
    }
}

/// What is answered when there is no namespace to answer.
fn absent(parts: &Parts, fault: Fault) -> Response<Body> {
    let mut response = match parts.uri.path() {
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
