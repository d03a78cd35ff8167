//! An axum server whose keep-alive connections move. `GET /` names the generation; `GET /slow` takes a second. With `--nginx PIDFILE` it
//! takes nginx's signals.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use baton_handover::Handover;

mod common;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = common::options();
    let settings = options.settings("web");
    let mut handover = Handover::begin(settings).await?;
    let listener = handover.tcp("http", options.listen).await?;
    let address = listener.local_addr()?;
    let serving = handover.ready().await?;
    common::say("web", &serving, address);
    let signalled = serving.clone();
    tokio::spawn(async move {
        while let Some(event) = signalled.event().await {
            println!("web: {event:?}");
        }
    });

    let hello = format!(
        "generation {} pid {}\n",
        serving.generation(),
        std::process::id()
    );
    let slow = hello.clone();
    let app = Router::new()
        .route("/", get(move || std::future::ready(hello.clone())))
        .route(
            "/slow",
            get(move || async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                slow
            }),
        );
    serving.http(listener, app).await;
    Ok(())
}
