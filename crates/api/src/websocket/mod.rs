//! WebSockets: what happens, told as it happens (bytomd v2, `net/websocket`).
//!
//! One task for each WebSocket, and one that turns the pool's news into messages once for all of them. Blocks are read from the chain by
//! each client's own place in it, so that none is missed however slow the client is, also across handovers.

mod notification;
mod request;
mod session;
mod subscription;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, Response, StatusCode, request::Parts},
    response::IntoResponse,
};
use baton_chain::{PoolEvent, Pooled};
use baton_handover::websocket::{Message, Upgrade, WebSocket};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::{
    sync::{Semaphore, broadcast, broadcast::error::RecvError, watch},
    time::timeout,
};

use crate::{
    namespace::Namespace,
    serve::{Body, response},
    settings::WebSocketSettings,
};
use session::Session;

/// Chosen where it is offered: a browser that offers its token among the subprotocols wants one of them chosen.
const PROTOCOL: &str = "baton";
/// How long WebSockets may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(6);

/// The WebSockets of a namespace.
#[derive(Debug)]
pub(crate) struct Sockets {
    most: u32,
    room: Arc<Semaphore>,
    news: broadcast::Sender<Arc<NewTransaction>>,
    stage: watch::Sender<Stage>,
}

/// What is to become of the WebSockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    /// They go to another process, or come back to this one when its parts are open again.
    Retired,
    /// They are closed.
    Closing,
}

/// A transaction that came into the pool, and how that is told.
#[derive(Debug)]
pub(crate) struct NewTransaction {
    pooled: Arc<Pooled>,
    /// Its number among all that came into the pool.
    number: u64,
    message: Message,
}

impl NewTransaction {
    fn new(pooled: Arc<Pooled>, number: u64) -> Self {
        let message = notification::transaction(&pooled);
        Self {
            pooled,
            number,
            message,
        }
    }
}

impl Sockets {
    pub(crate) fn new(settings: WebSocketSettings) -> Self {
        let most = u32::try_from(settings.connections).unwrap_or(u32::MAX);
        Self {
            most,
            room: Arc::new(Semaphore::new(settings.connections)),
            news: broadcast::channel(settings.queue.max(1)).0,
            stage: watch::channel(Stage::Open).0,
        }
    }

    /// Has all WebSockets give themselves, and takes no more.
    pub(crate) fn retire(&self) {
        self.stage.send_replace(Stage::Retired);
        self.room.close();
    }

    /// Closes all WebSockets and takes no more.
    pub(crate) async fn close(&self) {
        self.stage.send_replace(Stage::Closing);
        let all_gone = self.room.acquire_many(self.most);
        if timeout(GOODBYE, all_gone).await.is_err() {
            tracing::warn!("some websockets did not say goodbye in time");
        }
        self.room.close();
    }
}

/// Makes a WebSocket of a request.
pub(crate) async fn subscribe(namespace: &Arc<Namespace>, parts: &mut Parts) -> Response<Body> {
    let upgrade = match Upgrade::from_request_parts(parts, &()).await {
        Ok(upgrade) => upgrade.protocol(PROTOCOL),
        Err(refusal) => return plain(refusal.into_response()).await,
    };
    let Ok(room) = Arc::clone(&namespace.sockets.room).try_acquire_owned() else {
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        return response::plain(StatusCode::BAD_REQUEST, text, "400 Bad Request.\n");
    };
    let serving = Arc::clone(namespace);
    let kind = &namespace.parts.websockets;
    let accepted = upgrade.serve(kind, async move |socket| {
        Session::new(&serving, socket, Some(room)).serve().await;
    });
    plain(accepted).await
}

/// The same response with a body of one piece.
async fn plain(response: axum::response::Response) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    Response::from_parts(parts, Full::new(body.unwrap_or_else(|_| Bytes::new())))
}

/// Tells the WebSockets what happens, and serves those that a predecessor moved in, until they are closed.
pub(crate) async fn run(namespace: &Arc<Namespace>) {
    let mut stage = namespace.sockets.stage.subscribe();
    let mut events = namespace.parts.pool.events();
    let kind = namespace.parts.websockets.clone();
    let (mut arriving, mut telling) = (true, true);
    loop {
        tokio::select! {
            biased;
            _ = stage.wait_for(|stage| *stage != Stage::Open) => return,
            arrival = kind.arrival(), if arriving => match arrival {
                Some((parcel, seat)) => match WebSocket::resume(parcel, seat) {
                    Ok(socket) => serve_moved(namespace, socket),
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "closing a websocket that was moved here"
                    ),
                },
                None => arriving = false,
            },
            event = events.recv(), if telling => match event {
                Ok(PoolEvent::Added(pooled, number)) => tell(&namespace.sockets, pooled, number),
                Ok(PoolEvent::Removed(..)) => {}
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "news of the pool came too fast for the websockets");
                }
                Err(RecvError::Closed) => telling = false,
            },
        }
    }
}

fn serve_moved(namespace: &Arc<Namespace>, socket: WebSocket) {
    // it was let in by the predecessor, so it stays even if there are too many
    let room = Arc::clone(&namespace.sockets.room).try_acquire_owned().ok();
    tokio::spawn(Session::new(namespace, socket, room).serve());
}

fn tell(sockets: &Sockets, pooled: Arc<Pooled>, number: u64) {
    if sockets.news.receiver_count() == 0 {
        return;
    }
    // nobody listening any more is no fault
    let _ = sockets
        .news
        .send(Arc::new(NewTransaction::new(pooled, number)));
}
