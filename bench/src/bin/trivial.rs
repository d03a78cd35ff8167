//! An echo server that hands its listener over with `baton-handover`, on SIGUSR2, and notes when: the one of
//! ours that `bench-handover upgrade` measures beside those in `bench/peers`.
//!
//! It connects nothing but its library with the two moments: `main` is entered, and `upgrade` has returned.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result};
use baton_bench::load::Moment;
use baton_handover::connections::{Asked, Connection, Turn};
use baton_handover::{Handover, Settings};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> Result<()> {
    let entered = Moment::now();
    stamp(entered, "main")?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve())
}

async fn serve() -> Result<()> {
    let control =
        std::env::var_os("BENCH_SOCKET").context("BENCH_SOCKET names the control directory")?;
    // SIGUSR2 is ours here, so that the library's call can be timed; it gets a signal that nobody sends.
    let settings = Settings::named("trivial")
        .control_dir(control)
        .upgrade_on_signal(SignalKind::user_defined1().as_raw_value());
    let mut handover = Handover::begin(settings).await?;
    let mut listener = handover.tcp("echo", "127.0.0.1:0".parse()?).await?;
    let serving = handover.ready().await?;
    let mut asked = signal(SignalKind::user_defined2())?;
    stamp(Moment::now(), "serves")?;
    let upgrading = serving.clone();
    tokio::spawn(async move {
        while asked.recv().await.is_some() {
            let upgraded = upgrading.upgrade().await;
            let at = Moment::now();
            let what = match upgraded {
                Ok(_) => "committed".to_owned(),
                Err(e) => format!("failed: {e}"),
            };
            if let Err(e) = stamp(at, &what) {
                eprintln!("{e:#}");
            }
        }
    });
    while let Some(connection) = listener.accept().await {
        tokio::spawn(echo(connection));
    }
    serving.ended().await;
    Ok(())
}

async fn echo(mut connection: Connection) -> std::io::Result<()> {
    let mut buffer = bytes::BytesMut::new();
    loop {
        match connection.turn(&mut buffer).await? {
            Turn::Read(0) | Turn::Asked(Asked::Leave) => return Ok(()),
            Turn::Read(_) => {
                connection.send(&buffer).await?;
                buffer.clear();
            }
            Turn::Asked(Asked::Move) => return connection.give(""),
            Turn::Asked(Asked::Stay) => {}
        }
    }
}

/// Notes that this happened then, as the peers do: a line `nanoseconds pid what`.
fn stamp(at: Moment, what: &str) -> Result<()> {
    let path = std::env::var_os("BENCH_STAMPS").context("BENCH_STAMPS names a file")?;
    let line = format!("{} {} {what}\n", at.nanos(), std::process::id());
    let file = OpenOptions::new().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .with_context(|| format!("writing {}", path.display()))
}
