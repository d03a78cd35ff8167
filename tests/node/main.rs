//! The node as its operators see it: the built `batond`, real processes, real files, real sockets.
//!
//! `support` makes homes and runs nodes on them; every other file is one subject.

mod clients;
mod commands;
mod copies;
mod keeping;
mod life;
mod namespaces;
mod network;
mod relay;
mod support;
mod upgrades;
