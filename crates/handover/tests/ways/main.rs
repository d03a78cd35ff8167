//! All ways to begin and all that moves, with real processes.

#[path = "../harness/mod.rs"]
mod harness;

mod begin;
mod chat;
mod foreign;
mod held;
mod http;
mod moves;
mod nginx;
mod notify;
mod process_one;
mod sockets;
mod staged;
mod systemd;
