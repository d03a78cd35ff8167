//! Rooms over WebSockets: `ws://ADDRESS/<room>`. Sockets, who has read how far, and what was said all move; nobody notices.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State as Given};
use axum::response::Response;
use axum::routing::get;
use baton_handover::connections::{Asked, Kind};
use baton_handover::websocket::{Event, Message, Upgrade, WebSocket};
use baton_handover::{Handover, State};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

mod common;

/// What was said in each room, oldest first.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Rooms(BTreeMap<String, Vec<String>>);

impl State for Rooms {
    const VERSION: u32 = 1;
}

#[derive(Clone)]
struct Chat {
    rooms: Arc<Mutex<Rooms>>,
    said: watch::Sender<()>,
    members: Kind,
}

/// Where a member is: what its connection carries to the next generation.
#[derive(Serialize, Deserialize)]
struct Member {
    room: String,
    read: usize,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = common::options();
    let settings = options.settings("chat").state::<Rooms>("rooms");
    let mut handover = Handover::begin(settings).await?;
    let listener = handover.tcp("http", options.listen).await?;
    let address = listener.local_addr()?;
    let members = handover.connections("members");
    let rooms = Arc::new(Mutex::new(
        handover.state::<Rooms>("rooms").await?.unwrap_or_default(),
    ));
    let snapshot = Arc::clone(&rooms);
    handover.offer_state("rooms", move || snapshot.lock().expect("no panics").clone());
    let serving = handover.ready().await?;
    common::say("chat", &serving, address);

    let chat = Chat {
        rooms,
        said: watch::Sender::new(()),
        members: members.clone(),
    };
    let moved = chat.clone();
    tokio::spawn(async move {
        while let Some(parcel) = members.next().await {
            if let Ok(socket) = WebSocket::resume(parcel, members.seat())
                && let Ok(member) = postcard::from_bytes(socket.label())
            {
                tokio::spawn(moved.clone().serve(socket, member));
            }
        }
    });
    let app = Router::new().route("/{room}", get(enter)).with_state(chat);
    serving.http(listener, app).await;
    Ok(())
}

async fn enter(Given(chat): Given<Chat>, Path(room): Path<String>, upgrade: Upgrade) -> Response {
    let members = chat.members.clone();
    let read = chat
        .rooms
        .lock()
        .expect("no panics")
        .0
        .get(&room)
        .map_or(0, Vec::len);
    upgrade.serve(&members, move |socket| {
        chat.serve(socket, Member { room, read })
    })
}

impl Chat {
    /// Serves a member until it leaves or moves.
    async fn serve(self, mut socket: WebSocket, mut member: Member) {
        let mut news = self.said.subscribe();
        loop {
            for text in self.since(&member) {
                member.read += 1;
                if socket.send(Message::text(text)).await.is_err() {
                    return;
                }
            }
            let event = tokio::select! {
                event = socket.next() => event,
                _ = news.changed() => continue,
            };
            match event {
                Ok(Event::Message(message)) => {
                    let text = message
                        .into_text()
                        .map(|text| text.to_string())
                        .unwrap_or_default();
                    let mut rooms = self.rooms.lock().expect("no panics");
                    rooms.0.entry(member.room.clone()).or_default().push(text);
                    self.said.send_replace(());
                }
                Ok(Event::Asked(Asked::Move)) => {
                    let label = postcard::to_stdvec(&member).expect("a small struct");
                    return socket
                        .give(label)
                        .unwrap_or_else(|error| tracing::warn!(%error, "cannot give"));
                }
                Ok(Event::Asked(Asked::Leave)) => return socket.leave().await,
                Ok(Event::Asked(Asked::Stay)) => {}
                Ok(Event::Closed(_)) | Err(_) => return,
            }
        }
    }

    fn since(&self, member: &Member) -> Vec<String> {
        let rooms = self.rooms.lock().expect("no panics");
        rooms.0.get(&member.room).map_or_else(Vec::new, |said| {
            said[member.read.min(said.len())..].to_vec()
        })
    }
}
