//! Rooms over WebSockets: `ws://ADDRESS/<room>`. Sockets, who has read how far, and what was said all move; nobody notices.
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State as Given};
use axum::{Router, response::Response, routing::get};
use baton_handover::connections::{Asked, Kind};
use baton_handover::websocket::{Event, Message, Upgrade, WebSocket};
use baton_handover::{Handover, State};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
mod common;

/// What was said in each room: how much in all, and the last of it.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Rooms(BTreeMap<String, (usize, VecDeque<String>)>);

impl State for Rooms {
    const VERSION: u32 = 1;
}

#[derive(Clone)]
struct Chat {
    rooms: Arc<Mutex<Rooms>>,
    said: watch::Sender<()>,
    members: Kind,
}

/// A member's room, and how much of what was said there it has read: what its connection carries to the next generation.
type Member = (String, usize);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = common::options();
    let settings = options.settings("chat").state::<Rooms>("rooms");
    let mut handover = Handover::begin(settings).await?;
    let listener = handover.tcp("http", options.listen).await?;
    let members = handover.connections("members");
    let rooms = handover.state::<Rooms>("rooms").await?;
    let rooms = Arc::new(Mutex::new(rooms.unwrap_or_default()));
    let now = Arc::clone(&rooms);
    handover.offer_state("rooms", move || now.lock().expect("no panics").clone());
    let serving = handover.ready().await?;
    common::say("chat", &serving, listener.local_addr()?);
    let said = watch::Sender::new(());
    let chat = Chat {
        rooms,
        said,
        members,
    };
    tokio::spawn(chat.clone().welcome_back());
    let app = Router::new().route("/{room}", get(enter)).with_state(chat);
    serving.http(listener, app).await;
    Ok(())
}

async fn enter(Given(chat): Given<Chat>, Path(room): Path<String>, upgrade: Upgrade) -> Response {
    let mut member = (room, usize::MAX);
    chat.unread(&mut member); // what was said before is not for it
    upgrade.serve(&chat.members.clone(), |socket| chat.serve(socket, member))
}

impl Chat {
    /// Serves those who moved in, or came back after a roll-back.
    async fn welcome_back(self) {
        while let Some((parcel, seat)) = self.members.arrival().await {
            if let Ok(socket) = WebSocket::resume(parcel, seat)
                && let Ok(member) = postcard::from_bytes(socket.label())
            {
                tokio::spawn(self.clone().serve(socket, member));
            }
        }
    }

    /// Serves a member until it leaves or moves.
    async fn serve(self, mut socket: WebSocket, mut member: Member) {
        let mut news = self.said.subscribe();
        loop {
            for text in self.unread(&mut member) {
                if socket.send(Message::text(text)).await.is_err() {
                    return;
                }
            }
            let event = tokio::select! {
                event = socket.next() => event,
                _ = news.changed() => continue,
            };
            match event {
                Ok(Event::Message(said)) => self.say(&member.0, said.to_text().unwrap_or("?")),
                Ok(Event::Asked(Asked::Move)) => {
                    let label = postcard::to_stdvec(&member).expect("a small tuple");
                    return socket.give(label).unwrap_or_default();
                }
                Ok(Event::Asked(Asked::Leave)) => return socket.leave().await,
                Ok(Event::Asked(Asked::Stay)) => {}
                Ok(Event::Closed(_)) | Err(_) => return,
            }
        }
    }

    fn say(&self, room: &str, text: &str) {
        let mut rooms = self.rooms.lock().expect("no panics");
        let (said, last) = rooms.0.entry(room.to_owned()).or_default();
        *said += 1;
        last.push_back(text.to_owned());
        last.drain(..last.len().saturating_sub(1000)); // a room remembers the last thousand
        self.said.send_replace(());
    }

    fn unread(&self, (room, read): &mut Member) -> Vec<String> {
        let rooms = self.rooms.lock().expect("no panics");
        let nothing = Default::default();
        let (said, last) = rooms.0.get(room).unwrap_or(&nothing);
        let unread = said.saturating_sub(*read).min(last.len());
        *read = *said;
        last.range(last.len() - unread..).cloned().collect()
    }
}
