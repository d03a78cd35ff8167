//! A node's API over HTTP: one request, one answer.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, StatusCode, header};
use serde_json::Value;
use url::{Host, Url};

use crate::json::Json;

/// Where a node is if nobody says otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:9888";

/// How long a connection may take to be made.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a command may take if nobody says otherwise. Restoring or rescanning a big wallet takes longest.
pub const DEFAULT_LIMIT: Duration = Duration::from_mins(2);

/// How long an answer may be. A wallet's list of all transactions is the longest there is.
pub const MAX_ANSWER_BYTES: usize = 256 << 20;

/// Why a node's answer could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The address makes no sense. It is not repeated here: there may be a secret in it.
    #[error("the node's address {0}; such as {DEFAULT_URL}")]
    Address(String),
    /// The token makes no sense.
    #[error("a token has two parts, id:secret")]
    Token,
    /// The client could not be made.
    #[error("no HTTP client can be made: {0}")]
    Client(String),
    /// There was no answer.
    #[error("{url}: {why}; does a node run there? (--node or BYTOM_URL tell where)")]
    Unreachable {
        /// What was called.
        url: Url,
        /// What happened.
        why: String,
    },
    /// There was no whole answer in time.
    #[error("{url}: no answer within {} s (--timeout); the node may still carry it out", limit.as_secs())]
    Slow {
        /// What was called.
        url: Url,
        /// The limit.
        limit: Duration,
    },
    /// There was too much of an answer.
    #[error(
        "{url}: the answer is over {MAX_ANSWER_BYTES} bytes; ask for less, with --count or by id"
    )]
    Long {
        /// What was called.
        url: Url,
    },
    /// The node refused.
    #[error("{url}: HTTP {status}{}", told(body))]
    Refused {
        /// What was called.
        url: Url,
        /// The HTTP status.
        status: StatusCode,
        /// The answer.
        body: Vec<u8>,
    },
}

/// What a refusal says of its reason.
fn told(body: &[u8]) -> String {
    let json = str::from_utf8(body)
        .ok()
        .and_then(|text| Json::read(text).ok());
    let Some(json) = json else {
        return String::new();
    };
    let parts = ["code", "msg", "detail", "error_detail"];
    let parts = parts.map(|key| json.field(key).and_then(Json::text));
    [Some("")]
        .into_iter()
        .chain(parts)
        .flatten()
        .collect::<Vec<_>>()
        .join(": ")
}

/// A node that can be called. Cheap to clone.
#[derive(Clone)]
pub struct Node {
    base: Url,
    credentials: Option<(String, String)>,
    limit: Duration,
    client: Client,
}

impl Node {
    /// The node at `address`: `http://[id:secret@]host:port[/ns/name]`. A `token`, `id:secret`, goes before the one in
    /// the address. No call takes longer than `limit`.
    pub fn new(address: &str, token: Option<&str>, limit: Duration) -> Result<Self, CallError> {
        let base = base(address)?;
        let credentials = match token {
            Some(token) => {
                let (id, secret) = token.split_once(':').ok_or(CallError::Token)?;
                Some((id.to_owned(), secret.to_owned()))
            }
            None if base.username().is_empty() && base.password().is_none() => None,
            None => Some((
                decoded(base.username()),
                decoded(base.password().unwrap_or("")),
            )),
        };
        // A program that uses TLS otherwise may have chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(concat!("batoncli/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_LIMIT.min(limit))
            .timeout(limit);
        if is_loopback(&base) {
            client = client.no_proxy();
        }
        let client = client
            .build()
            .map_err(|error| CallError::Client(cause(&error)))?;
        Ok(Self {
            base: bare(base),
            credentials,
            limit,
            client,
        })
    }

    /// Posts `body` to an endpoint, such as `net-info`; the answer's bytes.
    pub async fn post(&self, endpoint: &str, body: Option<&Value>) -> Result<Vec<u8>, CallError> {
        let mut url = self.base.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}/{}", endpoint.trim_start_matches('/')));
        let failed = |error: reqwest::Error| self.failure(&url, &error);
        let mut request = self
            .client
            .post(url.clone())
            .header(header::CONTENT_TYPE, "application/json");
        request = match body {
            Some(body) => request.body(body.to_string()),
            None => request.header(header::CONTENT_LENGTH, 0),
        };
        if let Some((id, secret)) = &self.credentials {
            request = request.basic_auth(id, Some(secret));
        }
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let announced = response.content_length().unwrap_or(0);
        if announced > MAX_ANSWER_BYTES as u64 {
            return Err(CallError::Long { url });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(CallError::Long { url });
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            Ok(body)
        } else {
            Err(CallError::Refused { url, status, body })
        }
    }

    fn failure(&self, url: &Url, error: &reqwest::Error) -> CallError {
        let url = url.clone();
        if error.is_timeout() && !error.is_connect() {
            return CallError::Slow {
                url,
                limit: self.limit,
            };
        }
        let why = if error.is_timeout() {
            let seconds = CONNECT_LIMIT.min(self.limit).as_secs();
            format!("no connection within {seconds} s")
        } else {
            cause(error)
        };
        CallError::Unreachable { url, why }
    }
}

fn base(address: &str) -> Result<Url, CallError> {
    let wrong = |what: &str| CallError::Address(what.to_owned());
    let url = Url::parse(address).map_err(|error| wrong(&format!("is no URL ({error})")))?;
    match (url.scheme(), url.host()) {
        ("http" | "https", Some(_)) => Ok(url),
        _ => Err(wrong("does not begin with http:// or https://")),
    }
}

/// Without what is secret in it, or of no use.
fn bare(mut url: Url) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    url.set_username("")
        .and_then(|()| url.set_password(None))
        .expect("a URL with a host can do without credentials");
    url
}

fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part)
        .decode_utf8_lossy()
        .into_owned()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

/// The innermost reason: those around it say "error sending request".
fn cause(error: &dyn Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(address: &str, token: Option<&str>) -> Result<Node, CallError> {
        Node::new(address, token, DEFAULT_LIMIT)
    }

    #[test]
    fn credentials_come_from_the_token_or_the_address_and_are_not_in_the_url() {
        let credentials = |address, token| node(address, token).unwrap().credentials;
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(credentials("http://h:1", None), None);
        assert_eq!(
            credentials("http://a%3a:b%20c@h:1", None),
            pair("a:", "b c")
        );
        assert_eq!(
            credentials("http://a:b@h:1", Some("c:d:e")),
            pair("c", "d:e")
        );
        let base = node("http://a:b@h:1/ns/side/?x#y", None).unwrap().base;
        assert_eq!(base.as_str(), "http://h:1/ns/side/");
    }

    #[test]
    fn what_is_no_address_is_not_repeated() {
        for address in [
            "",
            "h",
            "h:9888",
            "ftp://h",
            "http://",
            "//se:cret@h",
            "http://se:cret@h:x",
        ] {
            let error = node(address, None).err().unwrap();
            assert!(matches!(error, CallError::Address(_)), "{address}");
            assert!(!error.to_string().contains("cret"), "{error}");
        }
        let error = node("http://h", Some("cret")).err().unwrap();
        assert_eq!(error.to_string(), "a token has two parts, id:secret");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (address, loopback) in [
            ("http://127.0.0.1:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:1", true),
            ("http://LocalHost", true),
            ("http://10.0.0.1", false),
            ("http://node.example", false),
        ] {
            assert_eq!(is_loopback(&base(address).unwrap()), loopback, "{address}");
        }
    }

    #[test]
    fn a_refusal_tells_what_the_node_told() {
        let body = br#"{"code":"BTM860","msg":"no","status":"fail","detail":"no token","temporary":false}"#;
        assert_eq!(told(body), ": BTM860: no: no token");
        assert_eq!(told(b"<html>"), "");
    }
}
