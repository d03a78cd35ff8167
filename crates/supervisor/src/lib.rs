//! Runs a node's binary, watches for upgrade plans and switches the binary at the right height.
//!
//! The idea: every decision is a pure function or a plain state machine, and a thin driver turns
//! decisions into system calls.
#![doc = ""]
#![doc = include_str!("../README.md")]

pub mod backup;
pub mod batch;
pub mod batch_file;
pub mod binary;
pub mod config;
pub mod doctor;
pub mod due;
pub mod facts;
pub mod fetch;
pub mod files;
pub mod heights;
pub mod layout;
pub mod life;
pub mod logging;
pub mod node;
pub mod plan;
pub mod records;
pub mod run;
pub mod serve;
pub mod skip;
pub mod stage;
pub mod telling;
pub mod upgrade;
pub mod watch;
