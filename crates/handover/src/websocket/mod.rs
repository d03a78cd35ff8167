//! WebSockets that move.
//!
//! The bytes of a message that has not arrived whole stay with the connection; the protocol engine only ever sees whole
//! messages. So a WebSocket is at a message boundary whenever it waits, in the middle of a message too, and moves at once.
//! Compression (per-message deflate) is not negotiated: its window would be state that cannot be taken out of the engine.

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
