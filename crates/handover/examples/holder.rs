//! Holds a server: starts it, starts its next version on SIGHUP, and passes on every other signal. It can be process 1 of a container.
//!
//! `holder --control-dir /tmp/web -- ./web --listen 127.0.0.1:8000 --control-dir /tmp/web`, then install another `web` and `kill -HUP <pid>`.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use baton_handover::Holder;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO)
        .init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [option, control_dir, dashes, program, rest @ ..] = arguments.as_slice() else {
        return Err("usage: --control-dir DIRECTORY -- PROGRAM ARGUMENTS…".into());
    };
    if option != "--control-dir" || dashes != "--" {
        return Err("usage: --control-dir DIRECTORY -- PROGRAM ARGUMENTS…".into());
    }
    let server = || {
        let mut command = Command::new(program);
        command.args(rest);
        command
    };

    let hangup = SignalKind::hangup();
    let mut hangups = signal(hangup)?;
    let holder = Holder::new(PathBuf::from(control_dir))?;
    // From the start: who is told to end while the server starts has to pass it on as well.
    let forwarding = holder.clone();
    let except = hangup.as_raw_value();
    tokio::spawn(async move { forwarding.forward_signals(&[except]).await });
    let pid = holder.start(server()).await?;
    println!("holder: pid {} holds pid {pid}", std::process::id());

    let status = loop {
        tokio::select! {
            status = holder.ended() => break status,
            Some(()) = hangups.recv() => {
                let (holder, next) = (holder.clone(), server());
                tokio::spawn(async move {
                    match holder.replace(next).await {
                        Ok(report) => println!("holder: holds pid {}\n{report}", report.to.pid),
                        Err(error) => println!("holder: {error}"),
                    }
                });
            }
        }
    };
    println!("holder: the last generation has ended: {status:?}");
    let code = status.and_then(|status| status.code());
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
