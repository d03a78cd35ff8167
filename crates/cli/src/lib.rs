//! The executables: `baton` and `cosmovisor`, two faces of one supervisor, and `batond`, the node.
//!
//! A face parses its command line, in its own manner, and calls one of `commands`, which are the
//! same for both and thin: they load the configuration, call the supervisor's library, and hand
//! back how it ended. The face turns that into text, stream and exit code.

pub mod baton;
pub mod batond;
mod commands;
mod completion;
mod console;
mod context;
pub mod cosmovisor;
mod demo;
mod ending;
mod history;
mod progress;
mod top;
