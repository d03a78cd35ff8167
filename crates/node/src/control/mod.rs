//! The control socket: a running node is asked and told through `batond.sock` in its home, by its owner only.
//!
//! One request a line and one answer a line, both JSON ([`Request`], [`Answer`]).

mod client;
mod server;
mod wire;

pub use client::{ControlError, ask};
pub use server::BindError;
pub(crate) use server::{Command, Ear};
pub use wire::{Answer, NamespaceReport, NamespaceState, Request, StatusReport};
