//! A client that follows the chain over a WebSocket.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use baton_ledger::Block;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// How long to wait before the connection is made anew.
const AGAIN: Duration = Duration::from_millis(50);

/// What a follower has seen.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    pub(crate) blocks: u64,
    /// Connections that ended by themselves, or could not be made.
    pub(crate) ended: u64,
    /// Blocks that were passed over or came again.
    pub(crate) out_of_order: u64,
    /// The longest time without a block.
    pub(crate) longest: Duration,
    /// How it first went wrong.
    pub(crate) story: Option<String>,
}

/// Follows the blocks after a height, until it is told to stop. After an end it goes on where it was.
pub(crate) async fn follow(
    api: SocketAddr,
    after: u64,
    mut stop: watch::Receiver<bool>,
) -> Followed {
    let mut seen = Followed::default();
    let mut next = after + 1;
    let mut last: Option<Instant> = None;
    while !*stop.borrow() {
        let followed = tokio::select! {
            followed = until_it_ends(api, &mut next, &mut last, &mut seen) => followed,
            _ = stop.changed() => break,
        };
        let why = match followed {
            Ok(()) => "closed".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        seen.ended += 1;
        seen.story.get_or_insert(why);
        tokio::time::sleep(AGAIN).await;
    }
    seen
}

async fn until_it_ends(
    api: SocketAddr,
    next: &mut u64,
    last: &mut Option<Instant>,
    seen: &mut Followed,
) -> Result<()> {
    let stream = TcpStream::connect(api).await?;
    let url = format!("ws://{api}/websocket-subscribe");
    let (mut socket, _): (WebSocketStream<TcpStream>, _) = client_async(url, stream).await?;
    let wish = json!({ "topic": "notify_raw_blocks", "from_height": *next });
    socket.send(Message::text(wish.to_string())).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else {
            continue;
        };
        let told: Value = serde_json::from_str(&text)?;
        if told["notification_type"] != "raw_blocks_connected" {
            continue;
        }
        let bytes = hex::decode(told["data"].as_str().unwrap_or_default())?;
        let height = Block::decode(&bytes)?.header.height;
        if height != *next {
            seen.out_of_order += 1;
            seen.story
                .get_or_insert(format!("block {height} where {next} was to come"));
        }
        let now = Instant::now();
        if let Some(before) = last.replace(now) {
            seen.longest = seen.longest.max(now - before);
        }
        *next = height + 1;
        seen.blocks += 1;
    }
    Ok(())
}
