//! HTTP on connections that move.
//!
//! An HTTP/1 connection moves between two requests: with the bytes of a head that has not arrived whole, and with what the peer
//! has not taken of the last response. A request that has begun is finished where it began, and its connection moves after it.
//! HTTP/2 cannot be taken out of hyper; its peers get a GOAWAY and open a new connection.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use baton_handover::connections::{Connection, Registry};
//! use baton_handover::http::{HttpSettings, serve};
//!
//! # async fn example() -> std::io::Result<()> {
//! let app = Router::new().route("/", get(|| async { "hello" }));
//! let kind = Registry::new().kind("http");
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let (arrived, arrivals) = tokio::sync::mpsc::channel(1);
//! let accepting = kind.clone();
//! tokio::spawn(async move {
//!     while let Ok((stream, _)) = listener.accept().await {
//!         if arrived.send(Connection::new(stream, accepting.seat())).await.is_err() {
//!             return;
//!         }
//!     }
//! });
//! serve(&kind, arrivals, app, &HttpSettings::default()).await;
//! # Ok(())
//! # }
//! ```

mod serve;
mod settings;
#[cfg(test)]
mod tests;
mod track;
mod watched;
mod wire;

pub use serve::{Arrivals, serve, serve_connection};
pub use settings::HttpSettings;
pub use watched::RequestBody;
pub use wire::reclaim;
