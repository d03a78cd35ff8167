//! What a supervisor asks of a node that hands over, on the socket `node.sock` in the control directory. See
//! `docs/node-contract.md`.

use std::path::PathBuf;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::node::{Command, look};
use crate::rpc::{Rpc, ask};

/// The routes.
pub(crate) fn router(rpc: Rpc) -> Router {
    Router::new()
        .route("/node", get(node))
        .route("/snapshot", post(snapshot))
        .with_state(rpc)
}

async fn node(State(rpc): State<Rpc>) -> Json<Value> {
    let view = look(&rpc.view).clone();
    let plan = view.app.plan();
    let halted = plan.filter(|_| view.halted.is_some());
    let halted = halted.map(|plan| json!({ "name": plan.name, "height": plan.height }));
    let plan =
        plan.map(|plan| json!({ "name": plan.name, "height": plan.height, "info": plan.info }));
    Json(json!({
        "contract": 1,
        "name": "mocknode",
        "version": rpc.about.version,
        "height": view.tip.height,
        "halted": halted,
        "plan": plan,
        "snapshot": true,
    }))
}

#[derive(Deserialize)]
struct Wanted {
    target: PathBuf,
}

async fn snapshot(State(rpc): State<Rpc>, Json(wanted): Json<Wanted>) -> Response {
    let failed =
        |status: StatusCode, why: String| (status, Json(json!({ "error": why }))).into_response();
    if !wanted.target.is_absolute() {
        return failed(
            StatusCode::BAD_REQUEST,
            "the target must be an absolute path".into(),
        );
    }
    match ask(&rpc, |answer| Command::Snapshot(wanted.target, answer)).await {
        Ok(Ok(snapshot)) => Json(json!({
            "height": snapshot.height,
            "files": snapshot.files(),
            "bytes": snapshot.bytes(),
        }))
        .into_response(),
        Ok(Err(why)) => failed(StatusCode::INTERNAL_SERVER_ERROR, why),
        Err(response) => response,
    }
}
