//! What an answer looks like on the wire.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::Full;

use super::compress;
use crate::{fault::Fault, reply::Reply};

/// The body of an answer.
pub(crate) type Body = Full<Bytes>;

/// bytomd's type of every answer in JSON.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const XSS: HeaderName = HeaderName::from_static("x-xss-protection");

/// An answer without the headers that all have.
pub(crate) fn plain(
    status: StatusCode,
    kind: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// An endpoint's answer.
pub(crate) fn of(answer: Result<Reply, Fault>) -> Response<Body> {
    match answer {
        Ok(Reply(body)) => plain(StatusCode::OK, JSON, body),
        Err(fault) => plain(fault.status(), JSON, fault.body_bytes()),
    }
}

/// Sends the client somewhere else.
pub(crate) fn redirect(status: StatusCode, to: &str) -> Response<Body> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    let to = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, to);
    response
}

/// The headers that bytomd gives to every answer. What is set already stays.
pub(crate) fn guard(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::X_FRAME_OPTIONS)
        .or_insert(HeaderValue::from_static("DENY"));
    headers.insert(XSS, HeaderValue::from_static("1; mode=block"));
}

/// The same answer in gzip, if that is worth it.
pub(crate) async fn compressed(response: Response<Body>) -> Response<Body> {
    use http_body_util::BodyExt;
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = body.collect().await;
    let whole = whole.to_bytes();
    match compress::compress(whole.clone()).await {
        Some(packed) => {
            parts
                .headers
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Response::from_parts(parts, Full::new(packed))
        }
        None => Response::from_parts(parts, Full::new(whole)),
    }
}
