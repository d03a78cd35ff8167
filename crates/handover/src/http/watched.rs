//! The service as hyper sees it: calls, bodies and responses leave a trace on the track.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::ConnectInfo;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use tower_service::Service;

use super::wire::Tracked;

/// The body of a request, as the service gets it.
#[derive(Debug)]
pub struct RequestBody {
    // the order matters: hyper must know of the drop before the track does
    inner: Incoming,
    watch: BodyWatch,
}

#[derive(Debug)]
struct BodyWatch {
    /// None once the body has ended, and for HTTP/2.
    track: Option<Tracked>,
}

impl BodyWatch {
    fn ended(&mut self) {
        if let Some(track) = self.track.take() {
            track.lock().body_ended();
        }
    }
}

impl Drop for BodyWatch {
    fn drop(&mut self) {
        if let Some(track) = self.track.take() {
            track.lock().body_dropped();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_none() || self.inner.is_end_stream() {
            self.watch.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of a response on its way out.
#[derive(Debug)]
pub(super) struct ResponseBody<B> {
    inner: Pin<Box<B>>,
    _watch: Option<ResponseWatch>,
}

#[derive(Debug)]
struct ResponseWatch(Tracked);

impl Drop for ResponseWatch {
    fn drop(&mut self) {
        self.0.lock().response_gone();
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.inner.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A program's service, on one connection.
#[derive(Debug, Clone)]
pub(super) struct Watched<S> {
    pub(super) service: S,
    /// None for HTTP/2.
    pub(super) track: Option<Tracked>,
    pub(super) peer: Option<SocketAddr>,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Watched<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let track = self.track.clone();
        let mut service = self.service.clone();
        let has_body = !request.body().is_end_stream();
        if let Some(track) = &track {
            track.lock().call(has_body);
        }
        let watch = BodyWatch {
            track: track.clone().filter(|_| has_body),
        };
        let mut request = request.map(|inner| RequestBody { inner, watch });
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let (method, version) = (request.method().clone(), request.version());
        Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            let mut response = service.call(request).await?;
            if let Some(track) = &track {
                let mut track = track.lock();
                if upgrades(&method, response.status()) {
                    track.upgrade();
                } else if track.leaving() && version >= Version::HTTP_10 {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
            }
            Ok(response.map(|inner| ResponseBody {
                inner: Box::pin(inner),
                _watch: track.map(ResponseWatch),
            }))
        })
    }
}

/// Whether this answer ends HTTP on the connection (RFC 9110, 7.8 and 9.3.6).
fn upgrades(method: &Method, status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS || (*method == Method::CONNECT && status.is_success())
}
