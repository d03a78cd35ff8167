//! From an HTTP request to a WebSocket that keeps a seat of its own kind.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::socket::WebSocket;
use crate::connections::Kind;
use crate::http::reclaim;

/// A request to become a WebSocket (RFC 6455, 4.2): an extractor for axum handlers.
#[derive(Debug)]
pub struct Upgrade {
    key: HeaderValue,
    offered: Vec<String>,
    chosen: Option<HeaderValue>,
    connection: OnUpgrade,
}

/// Why a request cannot become a WebSocket; says so to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not `GET` over HTTP/1.1 with the headers that ask for a WebSocket.
    #[error(
        "this address serves WebSockets: ask with GET, HTTP/1.1, `connection: upgrade` and `upgrade: websocket`"
    )]
    NotAsked,
    /// It asks for another version than 13.
    #[error("this address serves WebSockets of version 13")]
    Version,
    /// The key is missing.
    #[error("a WebSocket needs the header `sec-websocket-key`")]
    NoKey,
    /// The connection cannot leave HTTP.
    #[error("this connection cannot become a WebSocket")]
    Stuck,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotAsked | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::NoKey => StatusCode::BAD_REQUEST,
            Self::Stuck => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let headers = [
            (header::UPGRADE, "websocket"),
            (header::CONNECTION, "upgrade"),
            (header::SEC_WEBSOCKET_VERSION, "13"),
        ];
        (status, headers, self.to_string()).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let headers = &parts.headers;
        let asked = parts.method == Method::GET
            && parts.version == Version::HTTP_11
            && lists(headers, &header::CONNECTION).any(|item| item.eq_ignore_ascii_case("upgrade"))
            && lists(headers, &header::UPGRADE).any(|item| item.eq_ignore_ascii_case("websocket"));
        if !asked {
            return Err(Refusal::NotAsked);
        }
        if headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            return Err(Refusal::Version);
        }
        let key = headers
            .get(header::SEC_WEBSOCKET_KEY)
            .ok_or(Refusal::NoKey)?
            .clone();
        let offered = lists(headers, &header::SEC_WEBSOCKET_PROTOCOL)
            .map(str::to_owned)
            .collect();
        let connection = parts
            .extensions
            .remove::<OnUpgrade>()
            .ok_or(Refusal::Stuck)?;
        Ok(Self {
            key,
            offered,
            chosen: None,
            connection,
        })
    }
}

impl Upgrade {
    /// The subprotocols that the peer offers, the preferred one first.
    pub fn protocols(&self) -> &[String] {
        &self.offered
    }

    /// Chooses a subprotocol, if the peer offers it.
    #[must_use]
    pub fn protocol(mut self, name: &'static str) -> Self {
        if self.offered.iter().any(|offer| offer == name) {
            self.chosen = HeaderValue::from_str(name).ok();
        }
        self
    }

    /// Accepts: answers the peer, and serves the WebSocket in a task of its own, with a seat of this kind. The same function serves
    /// the WebSockets that come out of [`Kind::arrival`], by way of [`WebSocket::resume`].
    pub fn serve<F>(
        self,
        kind: &Kind,
        serve: impl FnOnce(WebSocket) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send,
    {
        let (kind, connection) = (kind.clone(), self.connection);
        tokio::spawn(async move {
            let upgraded = match connection.await {
                Ok(upgraded) => upgraded,
                Err(error) => {
                    return tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "not upgraded"
                    );
                }
            };
            let Ok(connection) = reclaim(upgraded) else {
                return tracing::error!(
                    kind = kind.name(),
                    "closing a WebSocket: its connection is not of this crate"
                );
            };
            serve(WebSocket::new(connection.reseat(&kind))).await;
        });
        let accept =
            HeaderValue::from_str(&derive_accept_key(self.key.as_bytes())).expect("base64");
        let fixed: [(HeaderName, HeaderValue); 3] = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, accept),
        ];
        let mut headers = HeaderMap::from_iter(fixed);
        headers.extend(
            self.chosen
                .map(|chosen| (header::SEC_WEBSOCKET_PROTOCOL, chosen)),
        );
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}

/// The items of a header that lists, however many times it occurs.
fn lists<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}
