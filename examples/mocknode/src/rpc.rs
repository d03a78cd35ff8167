//! The HTTP RPC: `CometBFT`'s answers about where the chain is, and `/mock/…` to steer the mock.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::TrySendError;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::chain::{AppState, Plan};
use crate::data::Block;
use crate::node::{Command, Commands, SharedView, View, look};

/// What the answers are made of.
#[derive(Clone)]
pub(crate) struct Rpc {
    pub(crate) view: SharedView,
    pub(crate) commands: Commands,
    pub(crate) about: Arc<About>,
}

/// What does not change while a node runs.
pub(crate) struct About {
    pub(crate) chain_id: String,
    pub(crate) version: String,
    pub(crate) rpc_address: String,
    /// It says that it is catching up.
    pub(crate) catching_up: bool,
}

/// The routes.
pub(crate) fn router(rpc: Rpc) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/v1/status", get(status))
        .route("/block", get(block))
        .route("/v1/block", get(block))
        .route("/abci_info", get(abci_info))
        .route("/health", get(async || enveloped(&json!({}))))
        .route("/mock/plan", get(plan).post(schedule).delete(cancel))
        .route("/mock/status", get(mock_status))
        .with_state(rpc)
}

fn enveloped(result: &Value) -> Response {
    Json(json!({ "jsonrpc": "2.0", "id": -1, "result": result })).into_response()
}

fn failed(status: StatusCode, what: &str) -> Response {
    let error = json!({ "code": -32603, "message": "Internal error", "data": what });
    let body = json!({ "jsonrpc": "2.0", "id": -1, "error": error });
    (status, Json(body)).into_response()
}

async fn status(State(rpc): State<Rpc>) -> Response {
    let view = look(&rpc.view).clone();
    enveloped(&status_result(&view, &rpc.about))
}

/// The validator's address and public key: of no use, but of the right form.
const VALIDATOR: &str = "5D6A51A8E9899C44079C6AF90618BA0369070E6E";
const PUBLIC_KEY: &str = "A6DoBUypNtUAyEHWtQ9bFjfNg8Bo9CrnkUGl6k6OHN4=";

fn status_result(view: &View, about: &About) -> Value {
    let View { tip, base, app, .. } = view;
    json!({
        "node_info": {
            "protocol_version": { "p2p": "8", "block": "11", "app": app.done.len().to_string() },
            "id": VALIDATOR.to_lowercase(),
            "listen_addr": "tcp://0.0.0.0:26656",
            "network": about.chain_id,
            "version": "0.38.17",
            "channels": "40202122233038606100",
            "moniker": "mocknode",
            "other": { "tx_index": "on", "rpc_address": about.rpc_address },
        },
        "sync_info": {
            "latest_block_hash": tip.hash(),
            "latest_app_hash": tip.parent,
            "latest_block_height": tip.height.to_string(),
            "latest_block_time": tip.time,
            "earliest_block_height": base.to_string(),
            "catching_up": about.catching_up,
        },
        "validator_info": {
            "address": VALIDATOR,
            "pub_key": { "type": "tendermint/PubKeyEd25519", "value": PUBLIC_KEY },
            "voting_power": "10",
        },
    })
}

async fn block(State(rpc): State<Rpc>, Query(query): Query<HashMap<String, String>>) -> Response {
    let tip = look(&rpc.view).tip.clone();
    let wanted = query
        .get("height")
        .map(|text| text.trim_matches('"').parse());
    let block = match wanted {
        None => Some(tip),
        Some(Ok(height)) if height == tip.height => Some(tip),
        Some(Ok(height)) => match ask(&rpc, |answer| Command::Block(height, answer)).await {
            Ok(block) => block,
            Err(response) => return response,
        },
        Some(Err(_)) => return failed(StatusCode::BAD_REQUEST, "height is not a number"),
    };
    match block {
        Some(block) => enveloped(&block_result(&block, &rpc.about.chain_id)),
        None => failed(StatusCode::INTERNAL_SERVER_ERROR, "height is not available"),
    }
}

fn block_result(block: &Block, chain_id: &str) -> Value {
    json!({
        "block_id": { "hash": block.hash(), "parts": { "total": 1, "hash": block.hash() } },
        "block": {
            "header": {
                "version": { "block": "11" },
                "chain_id": chain_id,
                "height": block.height.to_string(),
                "time": block.time,
                "last_block_id": { "hash": block.parent },
                "proposer_address": VALIDATOR,
            },
            "data": { "txs": [] },
            "evidence": { "evidence": [] },
        },
    })
}

async fn abci_info(State(rpc): State<Rpc>) -> Response {
    let AppState { height, done, .. } = look(&rpc.view).app.clone();
    enveloped(&json!({
        "response": {
            "data": "mocknode",
            "version": rpc.about.version,
            "app_version": done.len().to_string(),
            "last_block_height": height.to_string(),
        }
    }))
}

async fn plan(State(rpc): State<Rpc>) -> Response {
    let app = look(&rpc.view).app.clone();
    let body = json!({ "plan": app.plan(), "plans": app.plans, "done": app.done });
    Json(body).into_response()
}

async fn schedule(State(rpc): State<Rpc>, Json(plan): Json<Plan>) -> Response {
    match ask(&rpc, |answer| Command::Schedule(plan, answer)).await {
        Ok(Ok(())) => self::plan(State(rpc)).await,
        Ok(Err(why)) => failed(StatusCode::BAD_REQUEST, &why.to_string()),
        Err(response) => response,
    }
}

async fn cancel(State(rpc): State<Rpc>) -> Response {
    match ask(&rpc, Command::Cancel).await {
        Ok(Some(_)) => self::plan(State(rpc)).await,
        Ok(None) => failed(StatusCode::NOT_FOUND, "no plan is scheduled"),
        Err(response) => response,
    }
}

async fn mock_status(State(rpc): State<Rpc>) -> Response {
    let View {
        tip, app, halted, ..
    } = look(&rpc.view).clone();
    Json(json!({
        "pid": std::process::id(),
        "version": rpc.about.version,
        "height": tip.height,
        "app_height": app.height,
        "halted": halted,
    }))
    .into_response()
}

/// Sends the node a command and waits for its answer.
pub(crate) async fn ask<T>(
    rpc: &Rpc,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Result<T, Response> {
    let (answer, answered) = oneshot::channel();
    let unavailable = |what| failed(StatusCode::SERVICE_UNAVAILABLE, what);
    match rpc.commands.try_send(command(answer)) {
        Ok(()) => answered
            .await
            .map_err(|_| unavailable("the node is stopping")),
        Err(TrySendError::Full(_)) => Err(unavailable("too many commands are waiting")),
        Err(TrySendError::Disconnected(_)) => Err(unavailable("the node has stopped")),
    }
}
