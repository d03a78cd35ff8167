//! WebSockets that move.
//!
//! The bytes of a message that has not arrived whole stay with the connection; the protocol engine only ever sees whole
//! messages. So a WebSocket is at a message boundary whenever it waits, in the middle of a message too, and moves at once.
//! Compression (per-message deflate) is not negotiated: its window would be state that cannot be taken out of the engine.
//!
//! ```
//! use axum::{Router, routing::get};
//! use baton_handover::connections::{Asked, Kind, Registry};
//! use baton_handover::websocket::{Event, Upgrade, WebSocket};
//!
//! /// Echoes; new WebSockets and moved ones alike. A label would carry what must be known of the peer.
//! async fn echo(mut socket: WebSocket) {
//!     loop {
//!         match socket.next().await {
//!             Ok(Event::Message(message)) => {
//!                 if socket.send(message).await.is_err() {
//!                     return;
//!                 }
//!             }
//!             Ok(Event::Asked(Asked::Move)) => return drop(socket.give("")),
//!             Ok(Event::Asked(Asked::Leave)) => return socket.leave().await,
//!             Ok(Event::Asked(Asked::Stay)) => {}
//!             Ok(Event::Closed(_)) | Err(_) => return,
//!         }
//!     }
//! }
//!
//! let echoing = Registry::new().kind("echo");
//! let kind = echoing.clone();
//! let app: Router = Router::new().route("/", get(async move |upgrade: Upgrade| upgrade.serve(&kind, echo)));
//!
//! async fn serve_moved(echoing: Kind) {
//!     while let Some(parcel) = echoing.next().await {
//!         if let Ok(socket) = WebSocket::resume(parcel, echoing.seat()) {
//!             tokio::spawn(echo(socket));
//!         }
//!     }
//! }
//! ```

mod cut;
mod socket;
#[cfg(test)]
mod tests;
mod upgrade;

pub use socket::{Event, MESSAGE_LIMIT, WebSocket, WebSocketError};
pub use tokio_tungstenite::tungstenite::Message;
pub use tokio_tungstenite::tungstenite::protocol::CloseFrame;
pub use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
pub use upgrade::{Refusal, Upgrade};
