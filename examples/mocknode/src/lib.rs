//! A small real daemon shaped like a Cosmos node, to practise upgrades on.
//!
//! It makes blocks, keeps them in a data directory like a real one's, answers HTTP and gRPC as
//! real ones do, and at the height of an upgrade plan ends in each of the ways real ones end. One
//! executable plays all versions: a stamp at its end or the release directory it lies in says
//! which. See the README for its commands and settings.
//!
//! ```no_run
//! use std::path::Path;
//!
//! let me = std::env::current_exe()?;
//! baton_mocknode::stamp(&me, "v2", Path::new("upgrades/v2/bin/mocknode"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain;
mod cli;
mod client;
mod commands;
mod contract;
mod data;
mod disk;
mod grpc;
mod heart;
mod home;
mod log;
mod node;
mod plan_file;
mod relay;
mod rpc;
mod run;
mod settings;
mod snapshot;
mod store;
mod units;
mod version;
mod wal;

use std::process::ExitCode;

pub use version::{MAX_VERSION_LEN, StampError, stamp, stamp_of};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
