//! Small services besides the API: `GET /status` as `CometBFT` answers it, and metrics at an address of their own.

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use baton_api::Site;
use serde_json::json;

use super::slots::Slots;
use crate::control::StatusReport;
use crate::namespace::Name;

/// What tools of Cosmos nodes ask a node for.
pub(super) fn router(slots: Slots, api: SocketAddr) -> Router {
    let status = move || {
        let view = slots.view(&Name::global());
        let answer = view.map(|view| {
            let report = StatusReport::new(view.report(&Name::global()), Vec::new(), api, 0);
            json!({
                "jsonrpc": "2.0",
                "id": -1,
                "result": {
                    "node_info": report.node_info,
                    "sync_info": report.sync_info,
                    "validator_info": report.validator_info,
                },
            })
        });
        async move {
            match answer {
                Some(answer) => {
                    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
                }
                None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            }
        }
    };
    Router::new().route("/status", get(status))
}

/// The metrics of the API, and nothing else of it.
pub(super) fn metrics(site: Site) -> Router {
    Router::new().route_service("/metrics", site)
}
