//! Hands over a state of any size and schema, and a file that only one process may lock.
//!
//! `--bytes N`: the size of the state that the first generation makes; `--schema NEWEST:OLDEST`, one of 1:1, 2:1, 2:2, 3:3; `--lock FILE`;
//! `--jam FILE`: the file cannot be locked while that one exists. `GET /` tells the state's length and sum, how often it was written, and
//! the pid; `GET /wait` waits until `--release FILE` exists, `GET /hold` borrows the lock meanwhile,
//! `GET /late` afterwards.

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use baton_handover::{Borrowed, BoxError, Exclusive, Handover, State};
use serde::{Deserialize, Serialize};

mod common;

/// Any bytes, in a schema that is the program's choice.
#[derive(Clone, Serialize, Deserialize)]
struct Blob<const NEWEST: u32, const OLDEST: u32>(Vec<u8>);

impl<const NEWEST: u32, const OLDEST: u32> State for Blob<NEWEST, OLDEST> {
    const VERSION: u32 = NEWEST;
    const OLDEST: u32 = OLDEST;

    fn write(&self, _: u32, into: &mut dyn std::io::Write) -> std::io::Result<()> {
        into.write_all(&self.0)
    }

    fn read(_: u32, bytes: &[u8]) -> std::io::Result<Self> {
        Ok(Self(bytes.to_vec()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = common::options();
    match options.option("schema").unwrap_or("1:1") {
        "1:1" => run::<1, 1>(options).await,
        "2:1" => run::<2, 1>(options).await,
        "2:2" => run::<2, 2>(options).await,
        "3:3" => run::<3, 3>(options).await,
        other => Err(format!("no schema {other}").into()),
    }
}

async fn run<const NEWEST: u32, const OLDEST: u32>(
    options: common::Options,
) -> Result<(), Box<dyn Error>> {
    let path = |name: &str| options.option(name).map(PathBuf::from);
    let settings = options.settings("stateful");
    let settings = settings.state::<Blob<NEWEST, OLDEST>>("blob");
    let grandchild = options.option("grandchild").unwrap_or_default();
    child(grandchild == "early")?;
    let mut handover = Handover::begin(settings).await?;
    child(grandchild == "late")?;
    let listener = handover.tcp("http", options.listen).await?;
    let address = listener.local_addr()?;
    let blob: Option<Blob<NEWEST, OLDEST>> = handover.state("blob").await?;
    let blob = Arc::new(blob.unwrap_or_else(|| {
        let length: u32 = options
            .option("bytes")
            .map_or(0, |n| n.parse().unwrap_or(0));
        Blob((0..length).map(|n| (n % 251).to_le_bytes()[0]).collect())
    }));
    let written = Arc::new(AtomicU64::new(0));
    let (snapshot, count) = (Arc::clone(&blob), Arc::clone(&written));
    handover.offer_state("blob", move || {
        count.fetch_add(1, Ordering::SeqCst);
        Blob::clone(&snapshot)
    });
    let lock: Option<Exclusive<File>> = match path("lock") {
        Some(file) => {
            let jam = path("jam");
            let open = move || lock(&file, jam.as_deref());
            Some(handover.exclusive("lock", open).await?)
        }
        None => None,
    };
    let serving = handover.ready().await?;
    common::say("stateful", &serving, address);

    let sum: u64 = blob.0.iter().map(|byte| u64::from(*byte)).sum();
    let tell = move || async move {
        let (length, written) = (blob.0.len(), written.load(Ordering::SeqCst));
        format!(
            "length {length} sum {sum} written {written} pid {}",
            std::process::id()
        )
    };
    let release = path("release").unwrap_or_default();
    let wait = move |borrows: bool| async move {
        tracing::info!(borrowed = borrows, "a request waits");
        while !release.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        format!("waited pid {}", std::process::id())
    };
    let (hold, lent, late, after) = (wait.clone(), lock.clone(), wait.clone(), lock);
    let app = Router::new()
        .route("/", get(tell))
        .route("/wait", get(move || wait(false)))
        .route(
            "/hold",
            get(move || async move {
                let _borrowed = borrow(lent).await?;
                Ok::<_, (StatusCode, String)>(hold(true).await)
            }),
        )
        .route(
            "/late",
            get(move || async move {
                let waited = late(false).await;
                borrow(after).await.map(|_| waited)
            }),
        );
    serving.http(listener, app).await;
    Ok(())
}

/// A child that outlives this process and has whatever such a child gets.
fn child(wanted: bool) -> std::io::Result<()> {
    if wanted {
        let mut child = Command::new("sleep");
        child.arg("600").stdin(Stdio::null()).spawn()?;
    }
    Ok(())
}

async fn borrow(
    lock: Option<Exclusive<File>>,
) -> Result<Option<Borrowed<File>>, (StatusCode, String)> {
    match lock {
        Some(lock) => match lock.get().await {
            Ok(borrowed) => Ok(Some(borrowed)),
            Err(gone) => Err((StatusCode::SERVICE_UNAVAILABLE, gone.to_string())),
        },
        None => Ok(None),
    }
}

/// Locks the file as databases do (`flock`): a second process is refused.
fn lock(file: &std::path::Path, jam: Option<&std::path::Path>) -> Result<File, BoxError> {
    if jam.is_some_and(std::path::Path::exists) {
        return Err("jammed".into());
    }
    let file = File::options().create(true).append(true).open(file)?;
    file.try_lock()?;
    Ok(file)
}
