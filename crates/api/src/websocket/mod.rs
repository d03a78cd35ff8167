//! WebSockets: what happens, told as it happens.

use std::sync::Arc;

use axum::http::{Response, request::Parts};

use crate::{
    fault::Fault,
    namespace::Namespace,
    serve::{Body, response},
    settings::WebSocketSettings,
};

/// The WebSockets of a namespace.
#[derive(Debug)]
pub(crate) struct Sockets {
    _settings: WebSocketSettings,
}

impl Sockets {
    pub(crate) fn new(settings: WebSocketSettings) -> Self {
        Self {
            _settings: settings,
        }
    }

    pub(crate) async fn close(&self) {}
}

/// Makes a WebSocket of a request.
pub(crate) async fn subscribe(_: &Arc<Namespace>, _: &mut Parts) -> Response<Body> {
    response::of(Err(Fault::not_found()))
}

/// Tells the WebSockets what happens.
pub(crate) async fn run(_: &Arc<Namespace>) {}
