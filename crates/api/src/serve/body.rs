//! A request's body: who may send one, and how it is read.
//!
//! It may be long in coming. Whoever reads it holds nothing of the namespace meanwhile but a place among the requests in
//! hand, so that the namespace can be closed.

use std::pin::pin;

use axum::http::{StatusCode, request};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as HttpBody;
use tokio::time::timeout;

use super::{auth, gate::Pass, service};
use crate::{api::Api, fault::Fault, settings::Limits, table::Table};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// That a request's body may come.
pub(crate) struct Admission {
    limits: Limits,
    _pass: Pass,
}

impl Api {
    /// Asks whether a body may come; `None` if nobody wants it. A request that is refused here is refused when it is answered.
    pub(crate) fn admit(
        &self,
        parts: &request::Parts,
        skip: usize,
    ) -> Option<Result<Admission, Fault>> {
        let path = &parts.uri.path()[skip..];
        Table::get().find(path)?;
        Some(self.admit_endpoint(parts, path))
    }

    fn admit_endpoint(&self, parts: &request::Parts, path: &str) -> Result<Admission, Fault> {
        let namespace = &self.namespace;
        let (settings, tokens) = (&namespace.settings, &namespace.parts.tokens);
        let client = service::client(parts);
        let pass = namespace.gate.enter(client);
        let pass = pass.map_err(|full| service::over_limit(full, &settings.limits))?;
        auth::admit(settings, tokens, client, path, &parts.headers)?;
        Ok(Admission {
            limits: settings.limits,
            _pass: pass,
        })
    }
}

/// Reads a body that was admitted, within the limits.
pub(crate) async fn receive<B>(
    body: B,
    admission: Option<Result<Admission, Fault>>,
) -> Result<Bytes, Fault>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let Some(admission) = admission else {
        return Ok(Bytes::new());
    };
    let Admission { limits, _pass } = admission?;
    let most = limits.body_bytes;
    let too_long = || {
        Fault::transport(
            StatusCode::PAYLOAD_TOO_LARGE,
            "BTM002",
            format!("the request's body is longer than {most} bytes"),
        )
    };
    if body.size_hint().lower() > most as u64 {
        return Err(too_long());
    }
    let reading = Limited::new(body, most).collect();
    match timeout(limits.body_read, pin!(reading)).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(error)) => Err(Fault::body(error)),
        Err(_) => Err(Fault::transport(
            StatusCode::REQUEST_TIMEOUT,
            "BTM001",
            format!("the request's body took longer than {:?}", limits.body_read),
        )),
    }
}
