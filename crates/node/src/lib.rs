#![doc = include_str!("../README.md")]

pub mod access;
pub mod check;
pub mod configuration;
pub mod control;
mod files;
mod follow;
pub mod genesis;
mod gossip;
pub mod home;
pub mod init;
pub mod inspect;
pub mod lock;
pub mod logging;
pub mod namespace;
pub mod node;
pub mod node_key;
pub mod purse;
pub mod settings;
pub mod step;
mod tasks;
pub mod testnet;
pub mod upgrade;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
