//! Live connections that can move to the next process.
//!
//! A connection is never taken from whoever serves it. It is asked, and gives itself at its next message boundary as a
//! [`Parcel`](crate::Parcel). New connections, connections moved in from a predecessor and connections come back after a
//! roll-back are served by the same code: the last two only begin with a few bytes already read.
//!
//! ```
//! use baton_handover::connections::{Asked, Connection, Kind, Turn};
//! use bytes::BytesMut;
//! use tokio::io::AsyncWriteExt;
//!
//! /// Echoes until the peer is done or the connection moves.
//! async fn echo(mut connection: Connection) -> std::io::Result<()> {
//!     let mut buffer = BytesMut::new();
//!     loop {
//!         match connection.turn(&mut buffer).await? {
//!             Turn::Read(1..) => connection.send(&buffer.split()).await?,
//!             Turn::Asked(Asked::Move) => return connection.give("what the successor must know"),
//!             Turn::Asked(Asked::Stay) => {}
//!             Turn::Asked(Asked::Leave) | Turn::Read(0) => return connection.shutdown().await,
//!         }
//!     }
//! }
//!
//! /// Serves the connections that a predecessor moved in, or that come back after a roll-back.
//! async fn serve_moved(echoing: Kind) {
//!     while let Some((parcel, seat)) = echoing.arrival().await {
//!         match Connection::resume(parcel, seat) {
//!             Ok(connection) => drop(tokio::spawn(echo(connection))),
//!             Err(error) => eprintln!("{error}"),
//!         }
//!     }
//! }
//! ```
//!
//! A handover uses the other side, the [`Registry`]: `freeze` and `gather`; then either `restore`, or after the commit `part` and
//! `late` until none is left, `leave` for what the successor does not serve, and `empty` to know when to exit.

mod connection;
mod registry;
mod seat;
#[cfg(test)]
mod tests;

pub use connection::{Accepted, Connection, ResumeError, Turn, UNSENT_LIMIT};
pub use registry::{Counts, Kind, Registry, TakenUp, WAITING_LIMIT};
pub use seat::{Asked, Asking, Seat};
