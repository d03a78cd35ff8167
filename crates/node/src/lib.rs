//! The node: configuration, home, order of life, namespaces.

pub mod check;
pub mod configuration;
mod files;
pub mod genesis;
pub mod home;
pub mod init;
pub mod lock;
pub mod logging;
pub mod namespace;
pub mod node_key;
pub mod settings;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
