//! The node's HTTP RPC, as `CometBFT` has it: `GET /status`.
//!
//! Asked over a plain connection made for the purpose: it costs no memory while nobody asks, and
//! no proxy settings of the environment apply to it. Only an `https://` address, which an operator
//! must have set, needs a real client; that is made when it is first used.

use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use url::Url;

pub(super) use self::address::Address;
use super::{root_cause, status};

mod address;

/// A status of more bytes is none.
const MAX_BODY: usize = 256 << 10;
/// So many redirects are followed at an `https://` address.
const MAX_REDIRECTS: usize = 3;
/// Where the status is: everywhere, and in the one place `CometBFT` 1.0 recommends.
const PATHS: [&str; 2] = ["/status", "/v1/status"];

/// Why the RPC did not tell the height.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The node's configuration cannot be read.
    #[error("reading rpc.laddr in {}: {why}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The node's configuration turns the RPC off.
    #[error("rpc.laddr in {} is empty: the node's RPC is off", path.display())]
    Off {
        /// The file.
        path: PathBuf,
    },
    /// The address makes no sense.
    #[error(
        "RPC address {address:?} is not an address: {why}; write http://host:port, \
         tcp://host:port or unix:///path"
    )]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// No connection.
    #[error("connecting to {address}: {source}")]
    Connect {
        /// The address.
        address: String,
        /// What went wrong.
        source: io::Error,
    },
    /// No answer in time.
    #[error("{address} did not answer within {limit:?}")]
    Deadline {
        /// The address.
        address: String,
        /// The time it had.
        limit: Duration,
    },
    /// The exchange broke off.
    #[error("asking {address}: {why}")]
    Exchange {
        /// The address.
        address: String,
        /// What went wrong.
        why: String,
    },
    /// Not the status but a refusal.
    #[error("{address} answered {path} with {code}")]
    Refused {
        /// The address.
        address: String,
        /// What was asked for.
        path: &'static str,
        /// The HTTP status.
        code: u16,
    },
    /// Too long an answer.
    #[error("{address} answered with more than {MAX_BODY} bytes")]
    TooLong {
        /// The address.
        address: String,
    },
    /// An answer without a height.
    #[error("{address} answered without sync_info.latest_block_height; is it a node's RPC?")]
    NoHeight {
        /// The address.
        address: String,
    },
}

/// Asks for the status.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Made when an `https://` address is first asked.
    https: Option<reqwest::Client>,
}

/// An answer's status and body.
type Answer = (u16, Vec<u8>);

impl Client {
    /// The height that the node at `address` tells within `limit`.
    pub(super) async fn height(
        &mut self,
        address: &Address,
        limit: Duration,
    ) -> Result<u64, RpcError> {
        let exchange = async {
            for path in PATHS {
                let (code, body) = self.get(address, path).await?;
                let address = address.to_string();
                if code == StatusCode::NOT_FOUND && path != PATHS[PATHS.len() - 1] {
                    continue;
                }
                if code != StatusCode::OK {
                    return Err(RpcError::Refused {
                        address,
                        path,
                        code,
                    });
                }
                let status: Option<Value> = serde_json::from_slice(&body).ok();
                let height = status.as_ref().and_then(status::height);
                return height.ok_or(RpcError::NoHeight { address });
            }
            unreachable!("the last path is answered for")
        };
        tokio::time::timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| {
                Err(RpcError::Deadline {
                    address: address.to_string(),
                    limit,
                })
            })
    }

    async fn get(&mut self, address: &Address, path: &str) -> Result<Answer, RpcError> {
        let connect = |source| RpcError::Connect {
            address: address.to_string(),
            source,
        };
        match address {
            Address::Tcp { host, port, prefix } => {
                let stream = connect_tcp(host, *port).await.map_err(connect)?;
                let target = format!("{prefix}{path}");
                get_over(stream, &format!("{host}:{port}"), &target, address).await
            }
            Address::Unix(socket) => {
                let stream = UnixStream::connect(socket).await.map_err(connect)?;
                get_over(stream, "localhost", path, address).await
            }
            Address::Url(url) => self.get_url(url, path, address).await,
        }
    }

    async fn get_url(
        &mut self,
        url: &Url,
        path: &str,
        address: &Address,
    ) -> Result<Answer, RpcError> {
        let broken = |error: reqwest::Error| RpcError::Exchange {
            address: address.to_string(),
            // without the URL, which may hold a password
            why: root_cause(&error.without_url()),
        };
        let client = match &mut self.https {
            Some(client) => client,
            none => none.insert(https_client().map_err(broken)?),
        };
        let mut target = url.clone();
        target.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        let mut response = client.get(target).send().await.map_err(broken)?;
        let code = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_BODY {
                let address = address.to_string();
                return Err(RpcError::TooLong { address });
            }
            body.extend_from_slice(&chunk);
        }
        Ok((code, body))
    }
}

fn https_client() -> reqwest::Result<reqwest::Client> {
    // fails only if there is one already
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::limited(MAX_REDIRECTS))
        .pool_max_idle_per_host(0)
        .build()
}

async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    if host == "localhost" {
        // spares a thread for the resolver; the other family is tried below
        let first = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        if first.is_ok() {
            return first;
        }
    }
    TcpStream::connect((host.trim_matches(['[', ']']), port)).await
}

/// One GET over `stream`.
async fn get_over(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    target: &str,
    address: &Address,
) -> Result<Answer, RpcError> {
    let broken = |error: &(dyn Error + 'static)| RpcError::Exchange {
        address: address.to_string(),
        why: root_cause(error),
    };
    let request = Request::get(target)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(&error))?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(|e| broken(&e))?;
        let code = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let address = address.to_string();
                return RpcError::TooLong { address };
            }
            broken(&*error)
        })?;
        Ok((code, body.to_bytes().to_vec()))
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        answer = &mut exchange => answer,
        // the connection ends first if the node closes it; the answer may be complete
        _ = &mut connection => exchange.await,
    }
}

#[cfg(test)]
mod tests;
