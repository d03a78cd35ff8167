//! HTTP on connections that move.
//!
//! An HTTP/1 connection moves between two requests: with the bytes of a head that has not arrived whole, and with what the peer
//! has not taken of the last response. A request that has begun is finished where it began, and its connection moves after it.
//! HTTP/2 cannot be taken out of hyper; its peers get a GOAWAY and open a new connection.

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
#[cfg(feature = "websocket")]
pub(crate) use wire::Wire;
