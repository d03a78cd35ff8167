//! Every request's way through a namespace's API.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request},
};
use bytes::Bytes;
use hyper::body::Body as HttpBody;
use tower_service::Service;

use super::{
    auth,
    body::receive,
    compress,
    gate::Full,
    metrics,
    response::{self, Body, JSON, REQUEST_ID},
};
use crate::{
    api::Api,
    dashboard,
    endpoints::{self, For},
    fault::Fault,
    namespace::Namespace,
    openapi,
    settings::Limits,
    table::{Group, Table},
    websocket,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<B> Service<Request<B>> for Api
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let admission = if body.is_end_stream() {
                None
            } else {
                api.admit(&parts, 0)
            };
            let body = receive(body, admission).await;
            Ok(api.answer(parts, body, 0).await)
        })
    }
}

impl Api {
    /// Answers a request whose path, after `skip` bytes, is one of this namespace. Its body was received, or refused.
    pub(crate) async fn answer(
        &self,
        mut parts: request::Parts,
        body: Result<Bytes, Fault>,
        skip: usize,
    ) -> Response<Body> {
        let namespace = &self.namespace;
        let client = client(&parts);
        let gzip = compress::is_asked(&parts.headers);
        let id = request_id(namespace, &parts.headers);
        let began = Instant::now();
        let pass = match &parts.uri.path()[skip..] {
            // who watches must hear of a node that is busy from the node
            "/healthz" | "/readyz" | "/readyz/reads" | "/metrics" => Ok(None),
            _ => namespace.gate.enter(client).map(Some),
        };
        let mut response = match pass {
            Ok(_pass) => self.admitted(&mut parts, skip, client, body).await,
            Err(full) => {
                namespace.metrics.over_limit.inc();
                response::of(Err(over_limit(full, &namespace.settings.limits)))
            }
        };
        if gzip && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response = response::compressed(response).await;
        }
        tracing::debug!(
            id = id.to_str().unwrap_or_default(),
            path = parts.uri.path(),
            client = client.map(tracing::field::display),
            status = response.status().as_u16(),
            took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
        let headers = response.headers_mut();
        response::guard(headers);
        headers.insert(REQUEST_ID, id);
        allow_origin(namespace, &parts.headers, headers);
        response
    }

    async fn admitted(
        &self,
        parts: &mut request::Parts,
        skip: usize,
        client: Option<IpAddr>,
        body: Result<Bytes, Fault>,
    ) -> Response<Body> {
        let namespace = &self.namespace;
        let path = &parts.uri.path()[skip..];
        if let Some(page) = self.open_to_all(path, skip, parts) {
            namespace.metrics.elsewhere.inc();
            return page;
        }
        let admitted = auth::admit(
            &namespace.settings,
            &namespace.parts.tokens,
            client,
            path,
            &parts.headers,
        );
        if let Err(fault) = admitted {
            namespace.metrics.unauthenticated.inc();
            tracing::debug!(
                path,
                client = client.map(tracing::field::display),
                "not let in"
            );
            return response::of(Err(fault));
        }
        if let Some((index, endpoint)) = Table::get().find(path) {
            if endpoint.group == Group::Wallet && namespace.parts.wallet.is_none() {
                return to_error(parts, skip);
            }
            let answer = match body {
                Ok(body) => {
                    let began = Instant::now();
                    let answer = namespace.answer(index, body).await;
                    let metrics = &namespace.metrics;
                    metrics.answered(index, answer.is_err(), began.elapsed());
                    answer
                }
                Err(fault) => Err(fault),
            };
            return response::of(answer);
        }
        namespace.metrics.elsewhere.inc();
        match path {
            "/websocket-subscribe" => websocket::subscribe(namespace, parts).await,
            "/metrics" => {
                let text = endpoints::figures(namespace);
                let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
                response::plain(StatusCode::OK, kind, text)
            }
            _ if namespace.parts.wallet.is_none() => to_error(parts, skip),
            _ => response::of(Err(Fault::not_found())),
        }
    }

    /// What anyone may see.
    fn open_to_all(
        &self,
        path: &str,
        skip: usize,
        parts: &request::Parts,
    ) -> Option<Response<Body>> {
        let namespace = &self.namespace;
        match path {
            "/" => {
                let prefix = &parts.uri.path()[..skip];
                let to = format!("{prefix}/dashboard/");
                Some(response::redirect(StatusCode::FOUND, &to))
            }
            "/healthz" => Some(endpoints::healthz(namespace)),
            "/readyz" => Some(endpoints::readyz(namespace, For::Work)),
            "/readyz/reads" => Some(endpoints::readyz(namespace, For::Reads)),
            "/openapi.json" => Some(response::plain(
                StatusCode::OK,
                JSON,
                openapi::document(&namespace.parts.version),
            )),
            _ if namespace.settings.dashboard => dashboard::page(path, &parts.headers),
            _ => None,
        }
        .or_else(|| preflight(namespace, parts))
    }
}

/// Who asks; nobody knows it of a Unix socket.
pub(super) fn client(parts: &request::Parts) -> Option<IpAddr> {
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    address.map(|ConnectInfo(address)| address.ip())
}

/// The client's own name for a request, if it is one that a log can bear, or a new one.
fn request_id(namespace: &Namespace, headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID).filter(|id| {
        let id = id.as_bytes();
        (1..=64).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| namespace.request_id())
}

pub(super) fn over_limit(full: Full, limits: &Limits) -> Fault {
    let (status, detail) = match full {
        Full::Client => (
            StatusCode::TOO_MANY_REQUESTS,
            format!(
                "more than {} requests in hand from this address: wait for their answers",
                limits.requests_per_client
            ),
        ),
        Full::All => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("more than {} requests in hand: try again", limits.requests),
        ),
    };
    Fault::transport(status, "BTM000", detail)
}

/// bytomd without a wallet sends whoever asks for it, or for what is not there, to `/error`.
fn to_error(parts: &request::Parts, skip: usize) -> Response<Body> {
    let prefix = &parts.uri.path()[..skip];
    let query = parts.uri.query().map(|query| format!("?{query}"));
    let to = format!("{prefix}/error{}", query.unwrap_or_default());
    response::redirect(StatusCode::MOVED_PERMANENTLY, &to)
}

/// Answers a browser that asks whether a page may ask.
fn preflight(namespace: &Namespace, parts: &request::Parts) -> Option<Response<Body>> {
    let asked = parts.method == Method::OPTIONS
        && parts
            .headers
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && allowed_origin(namespace, &parts.headers).is_some();
    asked.then(|| {
        let mut response = Response::new(Body::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type, x-request-id",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    })
}

/// Tells a browser that the page may read the answer.
fn allow_origin(namespace: &Namespace, asked: &HeaderMap, answer: &mut HeaderMap) {
    if namespace.settings.cors_origins.is_empty() {
        return;
    }
    answer.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed_origin(namespace, asked) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

/// The page's origin, if the operator allows it.
fn allowed_origin(namespace: &Namespace, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let mut allowed = namespace.settings.cors_origins.iter();
    allowed
        .any(|allowed| allowed == "*" || origin == allowed.as_str())
        .then(|| origin.clone())
}
