//! WebSockets: rooms keep their members, their order and what was said.

use baton_handover::control::UpgradeRequest;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Server, gone, within};

type Socket = WebSocketStream<TcpStream>;

async fn enter(server: &Server, room: &str) -> Socket {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let url = format!("ws://{}/{room}", server.address());
    let entered = tokio_tungstenite::client_async(url, stream).await;
    entered.unwrap().0
}

async fn hear(socket: &mut Socket) -> String {
    let message = within("a message", socket.next())
        .await
        .expect("it stays open");
    message.unwrap().into_text().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_keep_members_order_and_history_over_ten_handovers() {
    let server = Server::example("chat").start().await;
    let mut rooms = Vec::new();
    for room in ["red", "blue"] {
        let mut members = Vec::new();
        for _ in 0..4 {
            members.push(enter(&server, room).await);
        }
        rooms.push((room, members));
    }
    // Never says a word, and hears everything.
    let mut lurker = enter(&server, "red").await;
    let mut number = 0;
    for turn in 0..=10 {
        for (room, members) in &mut rooms {
            // Half of it while the handover runs.
            let upgrading =
                (turn > 0 && *room == "red").then(|| server.upgrading(UpgradeRequest::default()));
            for speaker in 0..members.len() {
                number += 1;
                let text = format!("{room} {number}");
                members[speaker]
                    .send(Message::text(text.clone()))
                    .await
                    .unwrap();
                for member in members.iter_mut() {
                    assert_eq!(hear(member).await, text);
                }
                if *room == "red" {
                    assert_eq!(hear(&mut lurker).await, text);
                }
            }
            if let Some(upgrading) = upgrading {
                let report = upgrading.await.unwrap().unwrap();
                let all = report.moved_in_all() + report.moved_late + report.left_to_drain;
                assert_eq!(all, 9, "{report}");
            }
        }
    }
    let status = server.status().await.unwrap();
    assert_eq!(status.generation, 11);
    assert_eq!(status.connections.get("members"), Some(&9), "{status:?}");
    let first = server.said(1).await;
    gone(first.pid).await;
}
