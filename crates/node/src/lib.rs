//! The node: configuration, home, order of life, namespaces.

mod files;
pub mod genesis;
pub mod home;
pub mod init;
pub mod lock;
pub mod logging;
pub mod namespace;
pub mod node_key;
pub mod settings;
