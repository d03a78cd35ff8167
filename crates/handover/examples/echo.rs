//! Returns each byte. Connections move to the next generation, whatever they are in the middle of.
//!
//! `echo --listen 127.0.0.1:7000 --control-dir /tmp/echo`, then `kill -USR2 <pid>` or `baton upgrade /tmp/echo`.

use std::error::Error;

use baton_handover::Handover;
use baton_handover::connections::{Asked, Connection, Turn};
use bytes::BytesMut;
use tokio::io::AsyncWriteExt;

mod common;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = common::options();
    let settings = options.settings("echo");
    let mut handover = Handover::begin(settings).await?;
    let mut listener = handover.tcp("echo", options.listen).await?;
    let address = listener.local_addr()?;
    let serving = handover.ready().await?;
    common::say("echo", &serving, address);

    while let Some(connection) = listener.accept().await {
        tokio::spawn(echo(connection));
    }
    serving.ended().await;
    Ok(())
}

/// Serves a connection until it ends or moves, whether it is new or was moved in.
async fn echo(mut connection: Connection) -> std::io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        match connection.turn(&mut buffer).await? {
            // What the peer has not taken yet goes out first.
            Turn::Read(0) | Turn::Asked(Asked::Leave) => return connection.shutdown().await,
            Turn::Read(_) => {
                connection.send(&buffer).await?;
                buffer.clear();
            }
            Turn::Asked(Asked::Move) => return connection.give(""),
            Turn::Asked(Asked::Stay) => {}
        }
    }
}
