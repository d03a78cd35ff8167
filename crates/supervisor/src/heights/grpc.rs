//! The node's gRPC: its latest block, and the plan its chain has scheduled.
//!
//! A connection is made for each call: calls are rare, and an idle one would cost memory and
//! outlive the node.

use std::time::Duration;

use cosmos_sdk_proto::cosmos::base::tendermint::v1beta1 as tendermint;
use cosmos_sdk_proto::cosmos::upgrade::v1beta1 as upgrade;
use tonic::Code;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::root_cause;
use crate::plan::Plan;

/// Why gRPC did not answer.
#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    /// The address makes no sense.
    #[error(
        "DAEMON_GRPC_ADDRESS {address:?} is not an address: {why}; write host:port, http://… or https://…"
    )]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// No connection.
    #[error("connecting to gRPC at {address}: {why}")]
    Connect {
        /// As it was given.
        address: String,
        /// The cause.
        why: String,
    },
    /// No answer in time.
    #[error("gRPC at {address} did not answer within {limit:?}")]
    Deadline {
        /// As it was given.
        address: String,
        /// The time it had.
        limit: Duration,
    },
    /// An error instead of an answer.
    #[error("gRPC at {address} answered {call} with {code:?}: {message}")]
    Refused {
        /// As it was given.
        address: String,
        /// What was called.
        call: &'static str,
        /// The status code.
        code: Code,
        /// The status message.
        message: String,
    },
    /// An answer that does not say what was asked for.
    #[error("gRPC at {address} answered {call} without {missing}")]
    Incomplete {
        /// As it was given.
        address: String,
        /// What was called.
        call: &'static str,
        /// What the answer should have had.
        missing: &'static str,
    },
}

/// The plan that the chain has scheduled, if any, as the node at `address` says within `limit`.
/// `address` is `host:port`, `http://…` or `https://…` (with the platform's root certificates).
pub async fn current_plan(address: &str, limit: Duration) -> Result<Option<Plan>, GrpcError> {
    let call = "CurrentPlan";
    let ask = async |channel| {
        let mut client = upgrade::query_client::QueryClient::new(channel);
        client
            .current_plan(upgrade::QueryCurrentPlanRequest {})
            .await
    };
    let response = match within(address, limit, call, ask).await {
        Err(GrpcError::Refused {
            code: Code::NotFound,
            ..
        }) => return Ok(None),
        other => other?,
    };
    let Some(plan) = response.into_inner().plan else {
        return Ok(None);
    };
    let height = u64::try_from(plan.height).map_err(|_| GrpcError::Incomplete {
        address: address.to_owned(),
        call,
        missing: "a height above zero",
    })?;
    let upgrade::Plan { name, info, .. } = plan;
    Ok(Some(Plan { name, height, info }))
}

/// The height of the latest block, as the node at `address` says within `limit`.
pub(super) async fn height(address: &str, limit: Duration) -> Result<u64, GrpcError> {
    let call = "GetLatestBlock";
    let ask = async |channel| {
        let mut client = tendermint::service_client::ServiceClient::new(channel);
        client
            .get_latest_block(tendermint::GetLatestBlockRequest {})
            .await
    };
    let response = within(address, limit, call, ask).await?.into_inner();
    // SDK 0.47 and later fill both, earlier ones only `block`
    let sdk = response
        .sdk_block
        .and_then(|block| Some(block.header?.height));
    let old = response.block.and_then(|block| Some(block.header?.height));
    let height = sdk.or(old).and_then(|height| u64::try_from(height).ok());
    height.ok_or_else(|| GrpcError::Incomplete {
        address: address.to_owned(),
        call,
        missing: "a block height",
    })
}

/// Connects to `address` and makes one call, all within `limit`.
async fn within<T>(
    address: &str,
    limit: Duration,
    call: &'static str,
    ask: impl AsyncFnOnce(Channel) -> Result<T, tonic::Status>,
) -> Result<T, GrpcError> {
    let exchange = async {
        let endpoint = endpoint(address)?;
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| GrpcError::Connect {
                address: address.to_owned(),
                why: root_cause(&error),
            })?;
        ask(channel).await.map_err(|status| GrpcError::Refused {
            address: address.to_owned(),
            call,
            code: status.code(),
            message: status.message().to_owned(),
        })
    };
    tokio::time::timeout(limit, exchange)
        .await
        .unwrap_or_else(|_| {
            Err(GrpcError::Deadline {
                address: address.to_owned(),
                limit,
            })
        })
}

fn endpoint(address: &str) -> Result<Endpoint, GrpcError> {
    let wrong = |error: &dyn std::fmt::Display| GrpcError::Address {
        address: address.to_owned(),
        why: error.to_string(),
    };
    let uri = uri(address);
    let endpoint = Endpoint::from_shared(uri.clone()).map_err(|_| wrong(&"it is malformed"))?;
    if uri.starts_with("unix:") {
        return Ok(endpoint);
    }
    if endpoint.uri().host().is_none_or(str::is_empty) {
        return Err(wrong(&"it has no host"));
    }
    if uri.starts_with("https://") {
        let tls = ClientTlsConfig::new().with_native_roots();
        return endpoint
            .tls_config(tls)
            .map_err(|error| GrpcError::Connect {
                address: address.to_owned(),
                why: root_cause(&error),
            });
    }
    Ok(endpoint)
}

/// The address as a URI. Nodes and Go clients write it in several ways; an address to listen at
/// stands for the loopback.
fn uri(address: &str) -> String {
    let address = address.trim();
    if address.starts_with("https://") || address.starts_with("unix:") {
        return address.to_owned();
    }
    let schemes = ["http://", "tcp://", "dns:///", "passthrough:///"];
    let bare = schemes
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme));
    let bare = bare.unwrap_or(address);
    let Some((host, port)) = bare.rsplit_once(':') else {
        return format!("http://{bare}");
    };
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        other => other,
    };
    format!("http://{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_all_the_ways_they_are_written() {
        for (address, expected) in [
            ("localhost:9090", "http://localhost:9090"),
            ("http://localhost:9090", "http://localhost:9090"),
            ("https://grpc.example.com", "https://grpc.example.com"),
            (
                "https://grpc.example.com:443",
                "https://grpc.example.com:443",
            ),
            ("tcp://0.0.0.0:9090", "http://127.0.0.1:9090"),
            ("0.0.0.0:9090", "http://127.0.0.1:9090"),
            (":9090", "http://127.0.0.1:9090"),
            ("[::]:9090", "http://[::1]:9090"),
            ("dns:///node:9090", "http://node:9090"),
            ("unix:///run/grpc.sock", "unix:///run/grpc.sock"),
            ("node", "http://node"),
        ] {
            assert_eq!(uri(address), expected, "{address}");
            endpoint(address).unwrap();
        }
        for address in ["", "a b:1", "http://", "https://"] {
            let error = endpoint(address).map(|e| e.uri().clone()).unwrap_err();
            assert!(
                matches!(error, GrpcError::Address { .. }),
                "{address:?}: {error}"
            );
        }
    }
}
