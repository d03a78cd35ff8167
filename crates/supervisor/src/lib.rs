//! Runs a node's binary, watches for upgrade plans and switches the binary at the right height.
//!
//! The idea: every decision is a pure function or a plain state machine, and a thin driver turns
//! decisions into system calls.

pub mod backup;
pub mod config;
pub mod fetch;
pub mod heights;
pub mod logging;
pub mod telling;
