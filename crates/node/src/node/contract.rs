//! What a supervisor asks a node, on `node.sock` in the control directory. See `docs/node-contract.md`.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use baton_api::Door;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tracing::{error, info};

use super::slots::Slots;
use crate::namespace::Name;

/// What is needed to answer.
#[derive(Clone)]
struct Answers {
    slots: Slots,
    door: Door,
    /// Snapshots that may be written at once.
    room: Arc<Semaphore>,
}

/// The routes.
pub(super) fn router(slots: Slots, door: Door) -> Router {
    let answers = Answers {
        slots,
        door,
        room: Arc::new(Semaphore::new(1)),
    };
    Router::new()
        .route("/node", get(node))
        .route("/snapshot", post(snapshot))
        .with_state(answers)
}

async fn node(State(answers): State<Answers>) -> Response {
    let Some(view) = answers.slots.view(&Name::global()) else {
        return gone();
    };
    let halted = view
        .halted()
        .map(|plan| json!({ "name": plan.name, "height": plan.height }));
    let plan = view
        .plan()
        .map(|plan| json!({ "name": plan.name, "height": plan.height, "info": plan.info }));
    Json(json!({
        "contract": 1,
        "name": "batond",
        "version": crate::VERSION,
        "height": view.height(),
        "halted": halted,
        "plan": plan,
        "snapshot": true,
    }))
    .into_response()
}

#[derive(Deserialize)]
struct Wanted {
    target: PathBuf,
}

async fn snapshot(State(answers): State<Answers>, Json(wanted): Json<Wanted>) -> Response {
    let target = wanted.target;
    if !target.is_absolute() {
        return failed(
            StatusCode::BAD_REQUEST,
            "the target must be an absolute path",
        );
    }
    let Ok(_room) = answers.room.try_acquire() else {
        return failed(
            StatusCode::CONFLICT,
            "another snapshot is being written: wait for it",
        );
    };
    // held to the end, so that no handover closes the stores meanwhile
    let Some(_held) = (answers.door)().await else {
        return gone();
    };
    let Some(view) = answers.slots.running_view(&Name::global()) else {
        return gone();
    };
    let shown = target.display().to_string();
    let written = tokio::task::spawn_blocking(move || view.snapshot(&target)).await;
    match written {
        Ok(Ok(snapshot)) => {
            let (height, files, bytes) = (snapshot.height, snapshot.files(), snapshot.bytes());
            info!(
                target = shown,
                height, files, bytes, "a snapshot is written"
            );
            Json(json!({ "height": height, "files": files, "bytes": bytes })).into_response()
        }
        Ok(Err(error)) => {
            error!(target = shown, %error, "a snapshot could not be written");
            failed(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
        Err(error) => failed(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn gone() -> Response {
    failed(
        StatusCode::SERVICE_UNAVAILABLE,
        "another process serves now: ask again",
    )
}

fn failed(status: StatusCode, why: &str) -> Response {
    let body: Json<Value> = Json(json!({ "error": why }));
    (status, body).into_response()
}
