#![doc = include_str!("../README.md")]

mod api;
mod base64;
mod dashboard;
mod endpoints;
mod fault;
pub mod feeds;
mod go_json;
mod namespace;
mod openapi;
mod parts;
mod records;
mod reply;
mod request;
mod serve;
mod settings;
mod site;
mod table;
pub mod tokens;
mod websocket;

pub use api::Api;
pub use parts::{
    Figure, Figures, Health, Later, Mining, Parts, PeerInfo, Peers, Phase, PlanSigner, Progress,
    Rescan, Standing,
};
pub use records::RecordsError;
pub use settings::{ApiSettings, Limits, WebSocketSettings};
pub use site::{Door, GLOBAL, Site};
