//! Counts requests in a redb database, which only one process can open. With `--poison FILE` a generation refuses to open the database
//! while that file exists: the handover is rolled back and the predecessor opens it again.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use baton_handover::{BoxError, Exclusive, Handover};
use redb::{Database, ReadableTable, TableDefinition};

mod common;

const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("counts");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = common::options();
    let option = |name: &str| options.option(name).map(PathBuf::from);
    let path = option("database").unwrap_or_else(|| options.control_dir.with_extension("redb"));
    let poison = option("poison");
    let settings = options.settings("counter");
    let mut handover = Handover::begin(settings).await?;
    let listener = handover.tcp("http", options.listen).await?;
    let address = listener.local_addr()?;
    // Who rolls back must be able to open it again: only a successor that takes over looks at the poison.
    let taking_over = AtomicBool::new(handover.has_predecessor());
    let open = move || {
        let taking_over = taking_over.swap(false, Relaxed);
        open(&path, poison.as_deref().filter(|_| taking_over))
    };
    let database = handover.exclusive("database", open).await?;
    let serving = handover.ready().await?;
    common::say("counter", &serving, address);

    let app = Router::new().route(
        "/",
        get(move || {
            let database = database.clone();
            async move {
                let counted = count(&database).await;
                counted.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
            }
        }),
    );
    serving.http(listener, app).await;
    Ok(())
}

fn open(path: &Path, poison: Option<&Path>) -> Result<Database, BoxError> {
    if poison.is_some_and(Path::exists) {
        return Err("the poison file exists".into());
    }
    Ok(Database::create(path)?)
}

/// Adds one and says how many it is.
async fn count(database: &Exclusive<Database>) -> Result<String, BoxError> {
    let database = database.get().await?;
    let transaction = database.begin_write()?;
    let mut table = transaction.open_table(COUNTS)?;
    let last = table.get("requests")?.map_or(0, |value| value.value());
    let count = last + 1;
    table.insert("requests", count)?;
    drop(table);
    transaction.commit()?;
    Ok(format!("{count} pid {}\n", std::process::id()))
}
